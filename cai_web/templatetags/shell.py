"""What the shell (templates/base.html) needs and Django's own tags lack: a block as a value, and what is drawn once."""

from __future__ import annotations

from django.template import Library, TemplateSyntaxError
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.base import Node as TemplateNode
from django.template.context import Context
from django.utils.safestring import SafeString, mark_safe

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


class OnceNode(TemplateNode):
    """Renders its content once for each set of values in this process, and prints what it keeps from then on."""

    def __init__(self, nodelist: NodeList, values: list[FilterExpression]) -> None:
        self.nodelist = nodelist
        self.values = values
        self.kept: dict[tuple[object, ...], SafeString] = {}

    def render(self, context: Context) -> SafeString:
        key = tuple(value.resolve(context) for value in self.values)
        if key not in self.kept:
            self.kept[key] = self.nodelist.render(context)
        return self.kept[key]


@register.tag
def once(parser: Parser, token: Token) -> OnceNode:
    """Draws what is the same on every page: `{% once place user.is_staff %}…{% endonce %}`.

    The content may depend on nothing but the values that are named, and these may take a few values only: nothing is
    ever let go. Addresses and static files, which half of a page's frame consists of, are looked up once so.
    """
    values = [parser.compile_filter(word) for word in token.split_contents()[1:]]
    nodelist = parser.parse(("endonce",))
    parser.delete_first_token()
    return OnceNode(nodelist, values)
