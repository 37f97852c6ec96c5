# One Cloud Run service per function that answers requests: of clients (HTTP) or of a trigger.

locals {
  # The same for every function; which of it a function may use is up to its roles.
  environment = {
    DOCS_URL       = "firestore://${var.project}/${google_firestore_database.main.name}"
    BLOBS_URL      = "gs://${var.bucket_prefix}"
    BUS_URL        = "pubsub://${var.project}"
    EXECUTIONS_URL = "run://${var.project}/${var.region}"
    BUCKET_PREFIX  = var.bucket_prefix
    TOKEN_ISSUER   = "https://securetoken.google.com/${var.project}"
    TOKEN_AUDIENCE = var.project
    TOKEN_KEYS_URL = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
    GPU_CAPACITY   = tostring(var.gpu_capacity)
    GPU_RESERVE    = tostring(var.gpu_reserve)
    TASK_SECONDS   = tostring(local.functions["predict-worker"].timeout_seconds)
    STUCK_SECONDS  = tostring(var.stuck_seconds)
    CORS_ORIGINS   = join(",", var.cors_origins)
  }
}

resource "google_cloud_run_v2_service" "function" {
  for_each = local.services

  name                = each.key
  location            = var.region
  ingress             = each.value.trigger.type == "http" ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = var.deletion_protection

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = "${each.value.timeout_seconds}s"
    max_instance_request_concurrency = each.value.concurrency

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.max_instances
    }

    containers {
      # One image holds all functions; the argument says which.
      image = var.service_image
      args  = [each.key]

      ports {
        container_port = 8080
      }

      # All work is done before the reply: between requests the CPU sleeps.
      resources {
        limits            = { cpu = tostring(each.value.cpu), memory = each.value.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30
        http_get {
          path = "/healthz"
          port = 8080
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/healthz"
          port = 8080
        }
      }
    }
  }

  # The pipeline decides which image runs and who gets it.
  lifecycle {
    ignore_changes = [template[0].containers[0].image, template[0].labels, traffic, client, client_version]
  }

  depends_on = [google_project_service.api]
}

# Clients come without a Google identity, and only through the load balancer; the service itself checks their token.
resource "google_cloud_run_v2_service_iam_member" "clients" {
  for_each = local.http

  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

# What a trigger calls, only the account of that trigger may call.
resource "google_cloud_run_v2_service_iam_member" "caller" {
  for_each = local.called

  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.caller[each.key].member
}
