# The one thing that uses GPUs. dispatch-shards starts an execution with as many tasks as it leased GPUs.

resource "google_cloud_run_v2_job" "worker" {
  for_each = local.job_functions

  name                = each.key
  location            = var.region
  deletion_protection = var.deletion_protection

  template {
    parallelism = coalesce(var.worker_parallelism, var.gpu_capacity)
    task_count  = 1

    template {
      service_account = google_service_account.function[each.key].email
      # A task with a GPU may run for an hour; the worker writes its last report before that.
      timeout     = "${each.value.timeout_seconds}s"
      max_retries = each.value.max_retries
      # Half the price; a zone's outage is a retry.
      gpu_zonal_redundancy_disabled = true

      node_selector {
        accelerator = "nvidia-l4"
      }

      containers {
        image = var.worker_image

        resources {
          limits = {
            cpu              = tostring(each.value.cpu)
            memory           = each.value.memory
            "nvidia.com/gpu" = "1"
          }
        }

        dynamic "env" {
          for_each = local.environment
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  # The pipeline decides which image runs.
  lifecycle {
    ignore_changes = [template[0].template[0].containers[0].image, template[0].labels, client, client_version]

    precondition {
      condition     = each.value.timeout_seconds < 3600 && each.value.cpu >= 4 && each.value.memory == "${4 * each.value.cpu}Gi"
      error_message = "A task with an L4 takes 4 vCPU and 16 GiB or more, and less than an hour."
    }
  }

  depends_on = [google_project_service.api]
}

# Models come from a bucket of ours, never from the internet.
resource "google_storage_bucket_iam_member" "weights" {
  for_each = local.job_functions

  bucket = google_storage_bucket.bucket["weights"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.function[each.key].member
}
