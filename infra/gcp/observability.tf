# What wakes somebody: letters that could not be delivered, events that wait too long, an API or a worker that fails.

locals {
  dead_letters_filter = join(" AND ", [
    "resource.type = \"pubsub_subscription\"",
    "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
    "resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letters.name}\"",
  ])
  waiting_filter = join(" AND ", [
    "resource.type = \"pubsub_subscription\"",
    "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"",
    "resource.labels.subscription_id != \"${google_pubsub_subscription.dead_letters.name}\"",
  ])
  requests_filter = "resource.type = \"https_lb_rule\" AND metric.type = \"loadbalancing.googleapis.com/https/request_count\""
  tasks_filter    = "resource.type = \"cloud_run_job\" AND metric.type = \"run.googleapis.com/job/completed_task_attempt_count\" AND metric.labels.result = \"failed\""
}

resource "google_monitoring_notification_channel" "email" {
  display_name = "Alerts"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "A message could not be delivered"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = "Dead letters wait to be looked at"
    condition_threshold {
      filter          = local.dead_letters_filter
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "Read them with `gcloud pubsub subscriptions pull dead-letters --limit=10`; the attributes name the subscription they come from."
  }
}

resource "google_monitoring_alert_policy" "waiting" {
  display_name          = "Events wait for more than an hour"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = "The oldest message of a subscription is an hour old"
    condition_threshold {
      filter          = local.waiting_filter
      comparison      = "COMPARISON_GT"
      threshold_value = 3600
      duration        = "300s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "api_fails" {
  display_name          = "The API fails"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = "More than 2 % of the answers of five minutes are 5xx"
    condition_threshold {
      filter             = "${local.requests_filter} AND metric.labels.response_code_class = \"500\""
      denominator_filter = local.requests_filter
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.02
      duration           = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "worker_fails" {
  display_name          = "GPU tasks fail"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = "More than five failed tries in an hour"
    condition_threshold {
      filter          = local.tasks_filter
      comparison      = "COMPARISON_GT"
      threshold_value = 5
      duration        = "0s"
      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
}
