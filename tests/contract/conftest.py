from tests.contract.environments import agents_python, clients, node_client

__all__ = ["agents_python", "clients", "node_client"]
