"""What a cell of a notebook does to the objects of earlier cells."""

import ast
from collections.abc import Iterator

GROWS = {"append", "clear", "extend", "insert", "pop", "setdefault", "update"}  # what changes a list or a dict in place


def changed_from_outside(code: str) -> Iterator[str]:
    """What a cell deletes, writes into or appends to although an earlier cell made it.

    Such a cell cannot run twice, or gives something else the second time. Bodies of functions run later, so they do not
    count. What this cannot see, such as a method that changes its object, only two runs would show.
    """
    ours = set()
    for statement in ast.parse(code).body:
        inside = list(outside_functions(statement))
        stored = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        added_to = {node.target.id for node in inside if isinstance(node, ast.AugAssign) and hasattr(node.target, "id")}
        ours |= stored - added_to
        changed = {owner(target) for node in inside for target in changed_by(node)}
        yield from sorted(changed - ours - {None})
        ours |= {getattr(statement, "name", None)} | changed


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from outside_functions(child)


def changed_by(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.Delete):
        return node.targets
    if isinstance(node, ast.AugAssign):
        return [node.target]
    if isinstance(node, ast.Assign):
        return [target for target in node.targets if isinstance(target, ast.Subscript | ast.Attribute)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GROWS:
        return [node.func.value]
    return []


def owner(node: ast.AST) -> str | None:
    """`layers` of `layers[0].weight.data`."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return getattr(node, "id", None)
