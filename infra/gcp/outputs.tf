output "address" {
  description = "Where the domain and candidate.DOMAIN must point to (A records)."
  value       = google_compute_global_address.api.address
}

output "registry" {
  description = "Prefix of image names."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "http_functions" {
  description = "Functions that are deployed with a canary; the others at once."
  value       = keys(local.http)
}

output "event_subscriptions" {
  description = "The subscriptions behind the Eventarc triggers, by function."
  value       = local.event_subscriptions
}

output "pipeline_account" {
  description = "The account Cloud Build runs as."
  value       = google_service_account.pipeline.email
}

output "buckets" {
  description = "Bucket names by purpose."
  value       = { for purpose, bucket in google_storage_bucket.bucket : purpose => bucket.name }
}
