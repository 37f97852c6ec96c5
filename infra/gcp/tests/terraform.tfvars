# The environment all tests plan.

project            = "test-project"
environment        = "staging"
domain             = "api.test.example"
cors_origins       = ["https://app.test.example"]
service_image      = "services@sha256:0000"
worker_image       = "worker@sha256:0000"
bucket_prefix      = "test-"
gpu_capacity       = 4
billing_account    = "000000-000000-000000"
monthly_budget_usd = 100
alert_email        = "alerts@test.example"
