from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

class LoginView(APIView):
    def post(self, request: Request, format: str | None = None) -> Response: ...

class LogoutView(APIView):
    def post(self, request: Request, format: str | None = None) -> Response: ...

class LogoutAllView(APIView):
    def post(self, request: Request, format: str | None = None) -> Response: ...
