# What a wrong setting is answered with.

mock_provider "google" {}

run "any_origin_is_no_origin" {
  command = plan
  variables {
    cors_origins = ["*"]
  }
  expect_failures = [var.cors_origins]
}

run "a_reserve_leaves_something_to_batches" {
  command = plan
  variables {
    gpu_reserve = 4
  }
  expect_failures = [var.gpu_reserve]
}

run "pubsub_takes_no_other_number_of_attempts" {
  command = plan
  variables {
    max_delivery_attempts = 3
  }
  expect_failures = [var.max_delivery_attempts]
}

run "an_unknown_environment_is_refused" {
  command = plan
  variables {
    environment = "prod"
  }
  expect_failures = [var.environment]
}
