from tests.support.environments import agents_js, agents_python, clients, codex_program, node_client, pyright

__all__ = ["agents_js", "agents_python", "clients", "codex_program", "node_client", "pyright"]
