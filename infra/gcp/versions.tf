terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
  }

  # Bucket and prefix come with `terraform init -backend-config=…`: each environment has its own state.
  backend "gcs" {}
}

provider "google" {
  project = var.project
  region  = var.region
  # Budgets belong to a billing account: their calls are charged to this project.
  billing_project       = var.project
  user_project_override = true
  default_labels        = { app = "omtx-hub", environment = var.environment }
}
