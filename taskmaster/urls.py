"""All routes."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

handler400 = "taskmaster.api.exceptions.bad_request"
handler403 = "taskmaster.api.exceptions.forbidden"
handler404 = "taskmaster.api.exceptions.not_found"
handler500 = "taskmaster.api.exceptions.server_error"

urlpatterns = [
    path("", include("taskmaster.monitoring.root_urls")),
    path(
        "api/v1/",
        include(
            [
                path("", include("taskmaster.monitoring.urls")),
                path("", include("taskmaster.api.urls")),
                path("", include("agents_app.urls")),
                path("", include("sessions_app.urls")),
                path("", include("workflows_app.urls")),
            ]
        ),
    ),
    # People type it without the slash; nothing posts there.
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]
