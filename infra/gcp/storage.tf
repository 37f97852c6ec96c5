# The buckets. Each purpose has its own, since Eventarc tells objects apart by bucket only; the notifications behind its
# triggers are Eventarc's.

locals {
  buckets = {
    # What users drop. A run keeps a copy of what it accepted.
    uploads = {
      browsers = ["PUT"]
      rules    = [{ action = "Delete", class = null, age = var.uploads_kept_days }]
    }
    # Inputs, structures, results: until their owner deletes them. After a season they are read rarely.
    artifacts = {
      browsers = ["GET", "HEAD"]
      rules    = [{ action = "SetStorageClass", class = "NEARLINE", age = 90 }]
    }
    # Reports are the truth about a run, also about an old one. They are too small for a colder class to pay.
    reports = { browsers = [], rules = [] }
    # Weights of the models, put there by an operator.
    weights = { browsers = [], rules = [] }
  }
}

resource "google_storage_bucket" "bucket" {
  for_each = local.buckets

  name                        = "${var.bucket_prefix}${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # What is deleted by mistake can be had back for a week; then it is gone.
  soft_delete_policy {
    retention_duration_seconds = 7 * 24 * 3600
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.rules
    content {
      action {
        type          = lifecycle_rule.value.action
        storage_class = lifecycle_rule.value.class
      }
      condition {
        age = lifecycle_rule.value.age
      }
    }
  }

  # Pages use signed links directly.
  dynamic "cors" {
    for_each = length(each.value.browsers) == 0 ? [] : [each.value.browsers]
    content {
      origin          = var.cors_origins
      method          = cors.value
      response_header = ["Content-Type", "Content-Length", "Content-Disposition", "ETag", "x-goog-if-generation-match", "x-goog-content-length-range"]
      max_age_seconds = 3600
    }
  }

  depends_on = [google_project_service.api]
}
