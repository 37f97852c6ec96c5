project            = "omtx-hub-staging"
environment        = "staging"
domain             = "api.staging.omtx-hub.example"
cors_origins       = ["https://app.staging.omtx-hub.example", "http://localhost:5173"]
bucket_prefix      = "omtx-hub-staging-"
gpu_capacity       = 2
gpu_reserve        = 1
billing_account    = "000000-000000-000000"
monthly_budget_usd = 300
alert_email        = "staging-alerts@omtx-hub.example"

deletion_protection = false
