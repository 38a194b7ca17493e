"""People: inviting them, their roles, their names, their mail."""

from __future__ import annotations

from django import forms

from constitutions_app.access import Role


class InviteForm(forms.Form):
    """Who is invited, and with which role."""

    username = forms.CharField(
        max_length=150, label="Sign-in name", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    name = forms.CharField(required=False, max_length=150, label="Full name")
    email = forms.EmailField(required=False, label="E-mail")
    role = forms.ChoiceField(choices=[(role.value, f"{role.label}: {role.duty}") for role in Role])

    def clean_role(self) -> Role:
        return Role(self.cleaned_data["role"])


class RoleForm(forms.Form):
    """Another role for a person."""

    role = forms.ChoiceField(choices=Role.choices)

    def clean_role(self) -> Role:
        return Role(self.cleaned_data["role"])


class NameForm(forms.Form):
    """How one's own name is shown."""

    name = forms.CharField(
        required=False, max_length=150, label="Full name", help_text="Shown beside what you write and decide."
    )


class MailForm(forms.Form):
    """Whether notifications come by e-mail too."""

    by_mail = forms.BooleanField(required=False, label="Send me notifications by e-mail too")
