"""What the shell (templates/base.html) needs and Django's own tags lack: the text of a block as a value."""

from __future__ import annotations

from django.template import Library, TemplateSyntaxError
from django.template.base import Node as TemplateNode
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.utils.safestring import mark_safe

register = Library()


class CaptureNode(TemplateNode):
    """Renders its content into a variable and prints nothing."""

    def __init__(self, nodelist: NodeList, name: str) -> None:
        self.nodelist = nodelist
        self.name = name

    def render(self, context: Context) -> str:
        # A rendered node list is escaped already; strip() alone would lose the mark that says so.
        context[self.name] = mark_safe(self.nodelist.render(context).strip())  # noqa: S308
        return ""


@register.tag
def capture(parser: Parser, token: Token) -> CaptureNode:
    """Lets a page's block steer an `{% if %}` of its base.

    Written `{% capture as place %}{% block place %}{% endblock %}{% endcapture %}`.
    """
    words = token.split_contents()
    if len(words) != 3 or words[1] != "as":
        raise TemplateSyntaxError("Write {% capture as name %}.")
    nodelist = parser.parse(("endcapture",))
    parser.delete_first_token()
    return CaptureNode(nodelist, words[2])
