# Who may do what: every function has an account of its own, and the roles its row in the table names, each on the
# narrowest thing that can carry it. Nobody has a role of the kind that opens the project.

locals {
  document_roles = { "docs.read" = "roles/datastore.viewer", "docs.write" = "roles/datastore.user" }
  object_roles = merge([
    for bucket in ["uploads", "artifacts", "reports"] : {
      "${bucket}.read"  = { bucket = bucket, role = "roles/storage.objectViewer" }
      "${bucket}.write" = { bucket = bucket, role = "roles/storage.objectUser" }
    }
  ]...)
  execution_roles = {
    "executions.run"  = ["roles/run.jobsExecutorWithOverrides", "roles/run.viewer"]
    "executions.read" = ["roles/run.viewer"]
  }
  publish_roles = [for topic in local.topics : "publish:${topic}"]
  known_roles = concat(
    keys(local.document_roles), keys(local.object_roles), keys(local.execution_roles), local.publish_roles, ["sign"]
  )

  execution_grants = merge([
    for key, grant in local.grants : {
      for role in local.execution_roles[grant.role] : "${grant.function}/${role}" => merge(grant, { grants = role })
    } if contains(keys(local.execution_roles), grant.role)
  ]...)
}

resource "google_service_account" "function" {
  for_each = local.functions

  account_id   = each.key
  display_name = "Runs ${each.key}"

  lifecycle {
    precondition {
      condition     = length(setsubtract(each.value.roles, local.known_roles)) == 0
      error_message = "${each.key} names a role that is not known here: ${join(", ", setsubtract(each.value.roles, local.known_roles))}."
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_service_account" "caller" {
  for_each = local.called

  account_id   = "call-${each.key}"
  display_name = "Calls ${each.key} for its trigger"
  depends_on   = [google_project_service.api]
}

# Firestore takes grants on the project only; the condition narrows them to this database.
resource "google_project_iam_member" "documents" {
  for_each = { for key, grant in local.grants : key => grant if contains(keys(local.document_roles), grant.role) }

  project = var.project
  role    = local.document_roles[each.value.role]
  member  = google_service_account.function[each.value.function].member

  condition {
    title      = "this-database"
    expression = "resource.name == \"projects/${var.project}/databases/${google_firestore_database.main.name}\""
  }
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = { for key, grant in local.grants : key => grant if contains(keys(local.object_roles), grant.role) }

  bucket = google_storage_bucket.bucket[local.object_roles[each.value.role].bucket].name
  role   = local.object_roles[each.value.role].role
  member = google_service_account.function[each.value.function].member
}

resource "google_pubsub_topic_iam_member" "publish" {
  for_each = { for key, grant in local.grants : key => grant if contains(local.publish_roles, grant.role) }

  topic  = google_pubsub_topic.topic[trimprefix(each.value.role, "publish:")].name
  role   = "roles/pubsub.publisher"
  member = google_service_account.function[each.value.function].member
}

resource "google_cloud_run_v2_job_iam_member" "executions" {
  for_each = local.execution_grants

  name     = google_cloud_run_v2_job.worker["predict-worker"].name
  location = var.region
  role     = each.value.grants
  member   = google_service_account.function[each.value.function].member
}

# Signed links without key files: the account asks IAM to sign in its own name.
resource "google_service_account_iam_member" "sign" {
  for_each = { for key, grant in local.grants : grant.function => grant if grant.role == "sign" }

  service_account_id = google_service_account.function[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.function[each.key].member
}

# The account of the pipeline: it pushes images, deploys revisions in the functions' names, and reads how they do.
resource "google_service_account" "pipeline" {
  account_id   = "pipeline"
  display_name = "Builds and deploys"
  depends_on   = [google_project_service.api]
}

resource "google_project_iam_member" "pipeline" {
  for_each = toset(["roles/run.developer", "roles/logging.logWriter", "roles/monitoring.viewer"])

  project = var.project
  role    = each.key
  member  = google_service_account.pipeline.member
}

resource "google_service_account_iam_member" "pipeline_acts_as" {
  for_each = local.functions

  service_account_id = google_service_account.function[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline.member
}

resource "google_artifact_registry_repository_iam_member" "pipeline_pushes" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.pipeline.member
}
