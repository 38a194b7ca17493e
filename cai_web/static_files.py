"""Static files from the app itself, in the way an ASGI server wants them.

WhiteNoise's own middleware answers with a blocking stream, which Django would read anew, with a warning, under ASGI.
Our files are small: they are read in one go, in the thread that the request has (`one_thread.py`).
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile


class StaticFiles(WhiteNoiseMiddleware):
    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method or "", request.META)
        if found.file is None:
            body = b""
        else:
            with found.file:
                body = found.file.read()
        response = HttpResponse(body, status=int(found.status))
        del response["Content-Type"]
        for key, value in found.headers:
            response[key] = value
        return response
