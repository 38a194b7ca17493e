from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from whitenoise.responders import StaticFile

class WhiteNoiseMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None: ...
    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse: ...
