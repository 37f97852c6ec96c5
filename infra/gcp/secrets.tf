# Secrets: their places and readers. Values are added by hand and are in no state and no repository. The functions
# themselves hold none: they sign through IAM, and check tokens against public keys.

locals {
  secrets = {
    # The API key of the user as whom the pipeline's deployment check calls the API.
    deployment-check-key = google_service_account.pipeline.member
  }
}

resource "google_secret_manager_secret" "secret" {
  for_each = local.secrets

  secret_id = each.key

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.secrets

  secret_id = google_secret_manager_secret.secret[each.key].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
