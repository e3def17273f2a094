from tests.contract.environments import clients

__all__ = ["clients"]
