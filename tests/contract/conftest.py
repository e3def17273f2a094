from tests.contract.environments import clients, node_client

__all__ = ["clients", "node_client"]
