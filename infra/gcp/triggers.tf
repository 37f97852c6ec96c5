# What calls functions besides clients and messages: documents and objects (Eventarc), and the clock (Scheduler).

locals {
  event_functions = merge(local.documents, local.objects)
  # Eventarc makes the subscription behind a trigger and names it; known once the trigger exists.
  event_subscriptions = {
    for name, trigger in google_eventarc_trigger.event : name => try(basename(trigger.transport[0].pubsub[0].subscription), "")
  }
}

resource "google_eventarc_trigger" "event" {
  for_each = local.event_functions

  name            = each.key
  location        = var.region
  service_account = google_service_account.caller[each.key].email
  # Firestore's events come as protobuf, Cloud Storage's as JSON; neither can be had otherwise.
  event_data_content_type = each.value.trigger.type == "document_written" ? "application/protobuf" : "application/json"

  dynamic "matching_criteria" {
    for_each = each.value.trigger.type == "document_written" ? [
      { attribute = "type", value = "google.cloud.firestore.document.v1.written", operator = null },
      { attribute = "database", value = google_firestore_database.main.name, operator = null },
      { attribute = "document", value = each.value.trigger.pattern, operator = "match-path-pattern" },
      ] : [
      { attribute = "type", value = "google.cloud.storage.object.v1.finalized", operator = null },
      { attribute = "bucket", value = google_storage_bucket.bucket[each.value.trigger.bucket].name, operator = null },
    ]
    content {
      attribute = matching_criteria.value.attribute
      value     = matching_criteria.value.value
      operator  = matching_criteria.value.operator
    }
  }

  destination {
    cloud_run_service {
      service = google_cloud_run_v2_service.function[each.key].name
      region  = var.region
      path    = "/"
    }
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.caller,
    google_project_iam_member.event_receiver,
    google_project_iam_member.storage_announces,
  ]
}

# The role can be given on the project only.
resource "google_project_iam_member" "event_receiver" {
  for_each = local.event_functions

  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.caller[each.key].member
}

# Eventarc drops an event after 24 hours and gives a handler 10 seconds, and neither its API nor this provider can say
# otherwise: the subscription it made is to be changed. It is not taken into Terraform's state, since Eventarc replaces
# it with its trigger; this runs again whenever that happens or a value below changes.
resource "terraform_data" "event_dead_letter" {
  for_each = local.event_functions

  triggers_replace = {
    project               = var.project
    subscription          = local.event_subscriptions[each.key]
    dead_letter_topic     = google_pubsub_topic.topic["dead-letter"].id
    max_delivery_attempts = var.max_delivery_attempts
    ack_deadline          = min(600, each.value.timeout_seconds + 30)
  }

  provisioner "local-exec" {
    command = <<-EOT
      gcloud pubsub subscriptions update "$SUBSCRIPTION" --project="$PROJECT" --quiet \
        --dead-letter-topic="$DEAD_LETTER_TOPIC" --max-delivery-attempts="$MAX_DELIVERY_ATTEMPTS" \
        --ack-deadline="$ACK_DEADLINE" --min-retry-delay=10s --max-retry-delay=600s --message-retention-duration=7d
    EOT
    environment = {
      PROJECT               = self.triggers_replace.project
      SUBSCRIPTION          = self.triggers_replace.subscription
      DEAD_LETTER_TOPIC     = self.triggers_replace.dead_letter_topic
      MAX_DELIVERY_ATTEMPTS = self.triggers_replace.max_delivery_attempts
      ACK_DEADLINE          = self.triggers_replace.ack_deadline
    }
  }
}

resource "google_pubsub_subscription_iam_member" "moves_dead_events" {
  for_each = local.event_functions

  subscription = local.event_subscriptions[each.key]
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_cloud_scheduler_job" "schedule" {
  for_each = local.schedules

  name     = each.key
  region   = var.region
  schedule = "*/${each.value.trigger.every_seconds / 60} * * * *"
  # The next tick makes up for one that failed.
  attempt_deadline = "${each.value.timeout_seconds}s"

  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = "${google_cloud_run_v2_service.function[each.key].uri}/"
    oidc_token {
      service_account_email = google_service_account.caller[each.key].email
      audience              = google_cloud_run_v2_service.function[each.key].uri
    }
  }

  lifecycle {
    precondition {
      condition     = contains([for minutes in [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30] : minutes * 60], each.value.trigger.every_seconds)
      error_message = "A schedule divides the hour into whole minutes."
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}
