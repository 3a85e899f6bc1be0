"""Routes below /api/v1 that concern people. No trailing slash anywhere."""

from django.urls import path

from talkover.environments.api.views import UserViewSet

urlpatterns = [path("users", UserViewSet.as_view({"get": "list", "post": "create"}))]
