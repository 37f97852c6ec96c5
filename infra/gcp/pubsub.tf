# Topics, what is pushed from them to functions, and where undeliverable messages stay.

locals {
  # Those the code knows, and any other that a row subscribes to.
  topics = distinct(concat(
    ["dispatch", "execution-ended", "webhooks", "dead-letter"], [for row in values(local.messages) : row.trigger.topic]
  ))
}

resource "google_pubsub_topic" "topic" {
  for_each = toset(local.topics)

  name       = each.key
  depends_on = [google_project_service.api]
}

resource "google_pubsub_subscription" "push" {
  for_each = local.messages

  name  = each.key
  topic = google_pubsub_topic.topic[each.value.trigger.topic].id
  # How long a push may take: longer than the function's own limit, so that a slow success is not sent again.
  ack_deadline_seconds       = min(600, each.value.timeout_seconds + 30)
  message_retention_duration = "${7 * 24 * 3600}s"

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.function[each.key].uri}/"
    oidc_token {
      service_account_email = google_service_account.caller[each.key].email
      audience              = google_cloud_run_v2_service.function[each.key].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # Who handles dead letters has no further place to send one; the copy below stays in any case.
  dynamic "dead_letter_policy" {
    for_each = each.value.trigger.topic == "dead-letter" ? [] : ["dead-letter"]
    content {
      dead_letter_topic     = google_pubsub_topic.topic[dead_letter_policy.value].id
      max_delivery_attempts = var.max_delivery_attempts
    }
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}

# Every dead letter stays here for a month, until somebody has looked at it.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "dead-letters"
  topic                      = google_pubsub_topic.topic["dead-letter"].id
  ack_deadline_seconds       = 60
  message_retention_duration = "${31 * 24 * 3600}s"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves a message: it takes it from the subscription and publishes it as a dead letter.
resource "google_pubsub_topic_iam_member" "moves_dead_letters" {
  topic  = google_pubsub_topic.topic["dead-letter"].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "moves_dead_letters" {
  for_each = local.messages

  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# Cloud Run tells nobody that an execution ended, but its audit log says so.
resource "google_logging_project_sink" "execution_ended" {
  name                   = "execution-ended"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.topic["execution-ended"].id}"
  unique_writer_identity = true
  filter                 = <<-EOT
    logName="projects/${var.project}/logs/cloudaudit.googleapis.com%2Fsystem_event"
    resource.type="cloud_run_job"
    resource.labels.job_name="${google_cloud_run_v2_job.worker["predict-worker"].name}"
    protoPayload.methodName="/Jobs.RunJob"
  EOT
}

resource "google_pubsub_topic_iam_member" "execution_ended" {
  topic  = google_pubsub_topic.topic["execution-ended"].name
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.execution_ended.writer_identity
}
