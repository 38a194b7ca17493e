"""Signing in and out: by password where somebody has set one, by one-time link always."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import LoginView, LogoutView
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from sesame.utils import get_token, get_user

MISTAKES = 10  # wrong passwords for one name from one address ...
PAUSE_S = 15 * 60  # ... until that name must wait there


class SignIn(LoginView):
    """By password. Guessing is slowed down per name and address, so that nobody can lock somebody else out."""

    template_name = "registration/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if cache.get(_mistakes_key(request), 0) >= MISTAKES:
            form = self.get_form_class()(request)
            form.errors["__all__"] = form.error_class(
                ["Too many wrong passwords. Wait a quarter of an hour, or use a link."]
            )
            return self.render_to_response(self.get_context_data(form=form), status=429)
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: Any) -> HttpResponse:
        key = _mistakes_key(self.request)
        cache.add(key, 0, PAUSE_S)
        cache.incr(key)
        return super().form_invalid(form)


@never_cache
def to_sign_in(request: HttpRequest) -> HttpResponse:
    """From the admin site to the one way in. Who is signed in and sent here lacks the right, and is told so."""
    if request.user.is_authenticated and not request.user.is_staff:
        raise PermissionDenied("Only admins see the admin site.")
    return redirect(f"{reverse('sign_in')}?{request.GET.urlencode()}")


@method_decorator(never_cache, name="dispatch")
class SignOut(LogoutView):
    """Signs out on POST only, as Django does."""

    template_name = "registration/signed_out.html"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_by_link(request: HttpRequest) -> HttpResponse:
    """A one-time link leads to a page with one button: programs that fetch links to preview them must not use it up."""
    values = request.POST if request.method == "POST" else request.GET
    token = values.get("sesame", "")
    user = get_user(token, update_last_login=False) if token else None
    if request.method == "POST" and user is not None:
        user = _sign_in_once(request, user, token)
        if user is not None:
            return redirect(_safe_next(request))
    context = {"token": token, "usable": user is not None, "person": user, "next": values.get("next", "")}
    return render(request, "registration/link.html", context, status=200 if user else 410)


def _sign_in_once(request: HttpRequest, person: AbstractBaseUser, token: str) -> AbstractBaseUser | None:
    """Sign in, unless the link was used meanwhile: of two who press the button at once, one waits and is too late."""
    with transaction.atomic():
        get_user_model().objects.select_for_update().get(pk=person.pk)
        user = authenticate(request, sesame=token)
        if user is not None:
            login(request, user)
    return user


def one_time_path(user: AbstractBaseUser, *, to: str = "") -> str:
    """The path, without host, of a link that signs `user` in once within seven days."""
    query = {"sesame": get_token(user)} | ({"next": to} if to else {})
    return f"{reverse('sign_in_link')}?{urlencode(query)}"


def _mistakes_key(request: HttpRequest) -> str:
    who = f"{request.META.get('REMOTE_ADDR', '')} {request.POST.get('username', '').casefold()}"
    return "sign-in-" + hashlib.sha256(who.encode()).hexdigest()


def _safe_next(request: HttpRequest) -> str:
    to = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(to, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return to
    return resolve_url("/")
