# The database, the indexes its queries need, what expires, and what browsers may read.

locals {
  # One entry per query that filters and orders, or sums. Firestore combines indexes of one order, so each filter of a
  # list needs one, not each combination. A field that is summed follows the filter.
  indexes = {
    # list-jobs, list-batches: a user's runs, the newest first
    jobs-of-status = { collection = "jobs", scope = "COLLECTION", fields = [["status", "ASCENDING"], ["created_at", "DESCENDING"]] }
    jobs-of-model  = { collection = "jobs", scope = "COLLECTION", fields = [["model", "ASCENDING"], ["created_at", "DESCENDING"]] }
    jobs-of-type   = { collection = "jobs", scope = "COLLECTION", fields = [["job_type", "ASCENDING"], ["created_at", "DESCENDING"]] }
    # dispatch-shards, and the place in the queue: of each lane all users' runs that wait for GPUs, the oldest first; where
    # there are many, who has some, and the oldest of one user
    queue          = { collection = "jobs", scope = "COLLECTION_GROUP", fields = [["dispatchable", "ASCENDING"], ["lane", "ASCENDING"], ["created_at", "ASCENDING"]] }
    queue-of-users = { collection = "jobs", scope = "COLLECTION_GROUP", fields = [["dispatchable", "ASCENDING"], ["lane", "ASCENDING"], ["uid", "ASCENDING"]] }
    queue-of-one   = { collection = "jobs", scope = "COLLECTION", fields = [["dispatchable", "ASCENDING"], ["lane", "ASCENDING"], ["created_at", "ASCENDING"]] }
    # reconcile, system-status: all users' unfinished runs, the oldest first
    unfinished = { collection = "jobs", scope = "COLLECTION_GROUP", fields = [["status", "ASCENDING"], ["created_at", "ASCENDING"]] }
    # submissions: the GPU seconds charged to a user's runs of a month
    gpu-seconds-of-month = { collection = "jobs", scope = "COLLECTION", fields = [["month", "ASCENDING"], ["charged_gpu_seconds", "ASCENDING"]] }
    # system-status: the runs completed last
    completed = { collection = "jobs", scope = "COLLECTION_GROUP", fields = [["status", "ASCENDING"], ["completed_at", "DESCENDING"]] }
    # list-deliveries: what was sent to an endpoint, the newest first
    deliveries-of-webhook = { collection = "deliveries", scope = "COLLECTION", fields = [["webhook_id", "ASCENDING"], ["created_at", "DESCENDING"]] }
    # reconcile: all users' deliveries that wait, the longest due first
    deliveries-due = { collection = "deliveries", scope = "COLLECTION_GROUP", fields = [["state", "ASCENDING"], ["next_attempt_at", "ASCENDING"]] }
    # the progress of a run: sums over the shards that run. Each sum is a query of its own; over all shards they need none
    completed-of-running = { collection = "shards", scope = "COLLECTION", fields = [["state", "ASCENDING"], ["completed", "ASCENDING"]] }
    failed-of-running    = { collection = "shards", scope = "COLLECTION", fields = [["state", "ASCENDING"], ["failed", "ASCENDING"]] }
    items-of-running     = { collection = "shards", scope = "COLLECTION", fields = [["state", "ASCENDING"], ["items", "ASCENDING"]] }
    # get-usage: sums over a user's runs of one month
    seconds-of-month   = { collection = "jobs", scope = "COLLECTION", fields = [["month", "ASCENDING"], ["cost.gpu_seconds", "ASCENDING"]] }
    completed-of-month = { collection = "jobs", scope = "COLLECTION", fields = [["month", "ASCENDING"], ["progress.completed", "ASCENDING"]] }
    failed-of-month    = { collection = "jobs", scope = "COLLECTION", fields = [["month", "ASCENDING"], ["progress.failed", "ASCENDING"]] }
    # dispatch-shards, for a run with a limit: what its shards took that are done
    seconds-of-done = { collection = "shards", scope = "COLLECTION", fields = [["done", "ASCENDING"], ["gpu_seconds", "ASCENDING"]] }
  }

  # Fields no query asks for: times that rise with every write would limit a collection to 500 writes a second, and what
  # is large costs an entry for each of its parts.
  unindexed = {
    jobs   = ["progress_at", "started_at", "ended_at", "completed_at", "input", "parameters", "plan", "progress", "stopped", "summary"]
    shards = ["updated_at", "worker"]
    pools  = ["leases"]
    # Secrets and URLs belong in no index either.
    webhooks   = ["endpoints"]
    deliveries = ["payload", "attempts"]
    notices    = ["at"]
  }
  unindexed_fields = merge([
    for collection, fields in local.unindexed : { for field in fields : "${collection}.${field}" => { collection = collection, field = field } }
  ]...)
}

resource "google_firestore_database" "main" {
  name                              = var.database
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.api]
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.main.name
  retention = "${14 * 24 * 3600}s"

  daily_recurrence {}
}

resource "google_firestore_index" "query" {
  for_each = local.indexes

  database    = google_firestore_database.main.name
  collection  = each.value.collection
  query_scope = each.value.scope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value[0]
      order      = fields.value[1]
    }
  }
}

# Counting all users' runs of one status needs the field's own index over the group, which is not there by default.
resource "google_firestore_field" "status" {
  database   = google_firestore_database.main.name
  collection = "jobs"
  field      = "status"

  index_config {
    dynamic "indexes" {
      for_each = ["COLLECTION", "COLLECTION_GROUP"]
      content {
        order       = "ASCENDING"
        query_scope = indexes.value
      }
    }
  }
}

resource "google_firestore_field" "unindexed" {
  for_each = local.unindexed_fields

  database   = google_firestore_database.main.name
  collection = each.value.collection
  field      = each.value.field

  index_config {}
}

# What an Idempotency-Key was answered is forgotten after its day, which execution a claim started and what a user was
# told of after a week, how it was delivered after a month.
resource "google_firestore_field" "expiry" {
  for_each = toset(["idempotency", "claims", "notices", "deliveries"])

  database   = google_firestore_database.main.name
  collection = each.value
  field      = "expire_at"

  ttl_config {}
  index_config {}
}

resource "google_firebaserules_ruleset" "firestore" {
  source {
    files {
      name    = "firestore.rules"
      content = file("${path.module}/firestore.rules")
    }
  }

  # The rules in force are replaced, never taken away first.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_firestore_database.main]
}

resource "google_firebaserules_release" "firestore" {
  name         = var.database == "(default)" ? "cloud.firestore" : "cloud.firestore/${var.database}"
  ruleset_name = google_firebaserules_ruleset.firestore.name
}
