"""Who is here and in which role, for admins; and one's own account."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from constitutions_app import actions, mailing
from constitutions_app.access import OUTSIDE, AuthenticatedHttpRequest, Role, get_person_for, require_role
from constitutions_app.forms.people import InviteForm, MailForm, NameForm, RoleForm
from constitutions_app.notices import wants_mail
from constitutions_app.starter_material import SYSTEM_USER


@require_safe
@require_role(Role.ADMIN)
def index(request: AuthenticatedHttpRequest) -> HttpResponse:
    people = User.objects.exclude(username=SYSTEM_USER).exclude(username__startswith=OUTSIDE)
    people = people.prefetch_related("groups").order_by("-is_active", "username")
    return render(request, "people/list.html", {"people": [_line(person) for person in people], "roles": Role})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def invite(request: AuthenticatedHttpRequest) -> HttpResponse:
    form = InviteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            invitation = actions.invite_person(user=request.user, **form.cleaned_data)
        except actions.Refused as refusal:
            form.add_error("username", str(refusal))
        else:
            return _show_link(request, invitation, form.cleaned_data["role"])
    return render(request, "people/invite.html", {"form": form}, status=422 if form.errors else 200)


@never_cache
@require_POST
@require_role(Role.ADMIN)
def link(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    person = get_person_for(request.user, pk)
    try:
        invitation = actions.make_sign_in_link(user=request.user, person=person)
    except actions.Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("people")
    return _show_link(request, invitation, None)


@require_POST
@require_role(Role.ADMIN)
def role(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    person = get_person_for(request.user, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was changed: choose one of the roles.")
        return redirect("people")
    try:
        actions.set_role(user=request.user, person=person, role=form.cleaned_data["role"])
    except actions.Refused as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
    else:
        messages.success(request, f"{person} has the role {form.cleaned_data['role'].label.lower()} now.")
    return redirect("people")


@require_POST
@require_role(Role.ADMIN)
def deactivate(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    person = get_person_for(request.user, pk)
    try:
        actions.deactivate_person(user=request.user, person=person)
    except actions.Refused as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
    else:
        messages.success(request, f"{person} can no longer sign in. What they wrote stays theirs.")
    return redirect("people")


@require_POST
@require_role(Role.ADMIN)
def activate(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    person = get_person_for(request.user, pk)
    actions.reactivate_person(user=request.user, person=person)
    messages.success(request, f"{person} can sign in again.")
    return redirect("people")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
def account(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Three forms, told apart by the button that was pressed: the name, the password, and e-mail."""
    pressed = request.POST.get("form") if request.method == "POST" else None
    name_form = NameForm(request.POST if pressed == "name" else None, initial={"name": request.user.get_full_name()})
    password_form = _password_form(request.user, request.POST if pressed == "password" else None)
    if pressed == "name" and name_form.is_valid():
        actions.rename_person(user=request.user, name=name_form.cleaned_data["name"])
        messages.success(request, "Saved.")
        return redirect("account")
    if pressed == "password" and password_form.is_valid():
        actions.change_password(user=request.user, password=password_form.cleaned_data["new_password1"])
        update_session_auth_hash(request, request.user)
        messages.success(request, "Your password is set. Sign-in links that were made before no longer work.")
        return redirect("account")
    if pressed == "mail":
        actions.choose_mail(user=request.user, by_mail=bool(request.POST.get("by_mail")))
        messages.success(request, "Saved.")
        return redirect("account")
    ctx = {
        "name_form": name_form,
        "password_form": password_form,
        "mail_form": MailForm(initial={"by_mail": wants_mail(request.user)}),
        "mail_is_on": mailing.is_on(),
        "has_password": request.user.has_usable_password(),
    }
    status = 422 if name_form.errors or password_form.errors else 200
    return render(request, "people/account.html", ctx, status=status)


def _password_form(user: User, data: Any) -> SetPasswordForm[User]:
    """Who has a password must know it to change it; who came by a link sets the first one."""
    return PasswordChangeForm(user, data) if user.has_usable_password() else SetPasswordForm(user, data)


def _line(person: User) -> dict[str, Any]:
    names = {group.name for group in person.groups.all()}
    held = [role for role in Role if role.value in names or (role is Role.ADMIN and person.is_superuser)]
    return {"person": person, "role": held[0] if held else None}


def _show_link(request: AuthenticatedHttpRequest, invitation: actions.Invitation, role: Role | None) -> HttpResponse:
    """The link itself, this once: it is not stored, so the answer is a page and not a redirect."""
    ctx = {
        "person": invitation.person,
        "link": request.build_absolute_uri(invitation.path),
        "role": role,
    }
    return render(request, "people/link.html", ctx)
