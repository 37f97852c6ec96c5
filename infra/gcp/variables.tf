# What differs between environments, and what an operator may turn. Values: staging.tfvars, production.tfvars.

variable "project" {
  description = "Id of the Google Cloud project. Every environment has a project of its own."
  type        = string
}

variable "environment" {
  description = "`staging` or `production`; a label, and part of no name."
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "An environment is staging or production."
  }
}

variable "region" {
  description = "Region of everything that has one, the Firestore database included: Eventarc needs them in one place."
  type        = string
  default     = "us-central1"
}

variable "domain" {
  description = "Host of the API. `candidate.DOMAIN` shows revisions that do not serve yet. Both point to the load balancer's address."
  type        = string
}

variable "cors_origins" {
  description = "Origins whose pages may call the API and the signed links."
  type        = list(string)

  validation {
    condition     = alltrue([for origin in var.cors_origins : startswith(origin, "https://") || startswith(origin, "http://localhost")])
    error_message = "An origin is https://HOST, or http://localhost for development; a wildcard is none."
  }
}

variable "service_image" {
  description = "Image of the services, by digest. Used for services that do not exist yet; afterwards the pipeline deploys."
  type        = string
}

variable "worker_image" {
  description = "Image of the worker, by digest. Used while the job does not exist yet; afterwards the pipeline deploys."
  type        = string
}

variable "bucket_prefix" {
  description = "Buckets are called PREFIXuploads, PREFIXartifacts, PREFIXreports and PREFIXweights; their names are global."
  type        = string
}

variable "database" {
  description = "Name of the Firestore database."
  type        = string
  default     = "(default)"
}

variable "gpu_capacity" {
  description = "L4 GPUs that may run at once. Not above the region's quota."
  type        = number
}

variable "gpu_reserve" {
  description = "GPUs that batches leave to single predictions."
  type        = number
  default     = 1

  validation {
    condition     = var.gpu_reserve < var.gpu_capacity
    error_message = "Batches need at least one GPU."
  }
}

variable "worker_parallelism" {
  description = "Tasks of one execution that run at once. By default all that the capacity allows."
  type        = number
  default     = null
}

variable "stuck_seconds" {
  description = "A run without news for so long is looked into by the reconciler."
  type        = number
  default     = 900
}

variable "max_delivery_attempts" {
  description = "After so many failed deliveries an event or message is a dead letter. With backoff of 10 to 600 s, 20 take some two hours."
  type        = number
  default     = 20

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 100
    error_message = "Pub/Sub takes 5 to 100 attempts."
  }
}

variable "requests_per_minute_per_ip" {
  description = "Requests one address may make in a minute. Limits per user are the services' own."
  type        = number
  default     = 1200
}

variable "uploads_kept_days" {
  description = "Days after which a dropped file is deleted. A run keeps its own copy of what it accepted."
  type        = number
  default     = 30
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy the database, the services and the job."
  type        = bool
  default     = true
}

variable "billing_account" {
  description = "Id of the billing account, for the budget."
  type        = string
}

variable "monthly_budget_usd" {
  description = "Monthly spending in US dollars above which people are told."
  type        = number
}

variable "alert_email" {
  description = "Address that gets alerts and budget notices."
  type        = string
}
