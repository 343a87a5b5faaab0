"""The cells of a notebook without which one of them could not run."""

import ast
import re
import symtable

from nbformat import NotebookNode

_MAGIC = re.compile(r"^%.*$", re.MULTILINE)


def cells_for(cells: list[NotebookNode], wanted: NotebookNode) -> list[NotebookNode]:
    """The code cells that `wanted` needs, in their order, and itself.

    A cell is needed if it gives a name the value that is read later on the way to `wanted`, or sets an item
    of it. What changes a value by a method is not seen. Cells with magic commands are always kept.
    """
    kept = [wanted]
    needed = _names(wanted.source)[2]
    for cell in reversed(cells[: cells.index(wanted)]):
        if cell.cell_type == "code":
            bound, changed, read = _names(cell.source)
            if (bound | changed) & needed or _MAGIC.search(cell.source):
                kept.append(cell)
                needed = needed - bound | read
    return kept[::-1]


def _names(source: str) -> tuple[set[str], set[str], set[str]]:
    """The names that a cell binds, those of which it sets an item, and those that it reads."""
    source = _MAGIC.sub("", source)
    top = symtable.symtable(source, "cell", "exec")
    bound = {name.get_name() for name in top.get_symbols() if name.is_assigned() or name.is_imported()}
    changed = {
        node.value.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
    }
    return (
        bound,
        changed,
        {name.get_name() for name in top.get_symbols() if name.is_referenced()} | _inside(top),
    )


def _inside(scope: symtable.SymbolTable) -> set[str]:
    """The notebook's names that functions and comprehensions of a cell read."""
    read = set()
    for inner in scope.get_children():
        read |= {name.get_name() for name in inner.get_symbols() if name.is_global()} | _inside(inner)
    return read
