# What the plan of a whole environment promises. No account, no network: the provider's answers are mocked.

mock_provider "google" {
  mock_resource "google_service_account" {
    override_during = plan
    defaults        = { email = "account@test-project.iam.gserviceaccount.com", member = "serviceAccount:account@test-project.iam.gserviceaccount.com" }
  }

  override_resource {
    target          = google_pubsub_topic.topic["dead-letter"]
    override_during = plan
    values          = { id = "projects/test-project/topics/dead-letter" }
  }
  override_resource {
    target          = google_compute_security_policy.per_address
    override_during = plan
    values          = { id = "per-address" }
  }
}

run "every_function_of_the_table_is_deployed_once" {
  command = plan

  assert {
    condition     = length(local.rows) > 0 && length(local.rows) == length(local.functions)
    error_message = "The table is empty, or names a function twice."
  }
  assert {
    condition = sort(concat(
      [for service in google_cloud_run_v2_service.function : service.name], [for job in google_cloud_run_v2_job.worker : job.name]
    )) == sort([for row in local.rows : row.name])
    error_message = "Services and job are not the functions of the table."
  }
  assert {
    condition     = sort([for account in google_service_account.function : account.account_id]) == sort([for row in local.rows : row.name])
    error_message = "A function has no account of its own."
  }
  assert {
    condition     = alltrue([for name in keys(local.functions) : length(name) >= 6 && length("call-${name}") <= 30])
    error_message = "A function's name makes no account's name (6 to 30 characters with `call-`)."
  }
  assert {
    condition = alltrue([
      for name, row in local.called : length([for kind in [local.documents, local.objects, local.messages, local.schedules] : 1 if contains(keys(kind), name)]) == 1
    ])
    error_message = "A function has a trigger nobody knows."
  }
}

run "services_are_shaped_by_their_rows" {
  command = plan

  assert {
    condition = alltrue([
      for name, service in google_cloud_run_v2_service.function :
      service.template[0].scaling[0].max_instance_count == local.functions[name].max_instances &&
      service.template[0].max_instance_request_concurrency == local.functions[name].concurrency &&
      service.template[0].timeout == "${local.functions[name].timeout_seconds}s" &&
      service.template[0].containers[0].args == tolist([name]) &&
      service.template[0].containers[0].resources[0].limits.memory == local.functions[name].memory &&
      service.template[0].containers[0].resources[0].limits.cpu == tostring(local.functions[name].cpu)
    ])
    error_message = "A service is not as its row says."
  }
  assert {
    condition = alltrue([
      for service in google_cloud_run_v2_service.function :
      service.template[0].containers[0].startup_probe[0].http_get[0].path == "/healthz" &&
      service.template[0].containers[0].liveness_probe[0].http_get[0].path == "/healthz"
    ])
    error_message = "A service is not probed."
  }
  assert {
    condition = alltrue([
      for container in concat(
        [for service in google_cloud_run_v2_service.function : service.template[0].containers[0]],
        [for job in google_cloud_run_v2_job.worker : job.template[0].template[0].containers[0]]
        ) : length(setsubtract([
          "DOCS_URL", "BLOBS_URL", "BUS_URL", "EXECUTIONS_URL", "BUCKET_PREFIX", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "TOKEN_KEYS_URL",
          "GPU_CAPACITY", "GPU_RESERVE", "TASK_SECONDS", "STUCK_SECONDS", "CORS_ORIGINS",
      ], [for env in container.env : env.name])) == 0
    ])
    error_message = "A function does not get its environment."
  }
}

run "the_job_has_the_shape_an_l4_needs" {
  command = plan

  assert {
    condition     = keys(google_cloud_run_v2_job.worker) == ["predict-worker"]
    error_message = "There is one job, and the code knows its name."
  }
  assert {
    condition = (
      google_cloud_run_v2_job.worker["predict-worker"].template[0].template[0].containers[0].resources[0].limits ==
      tomap({ cpu = "4", memory = "16Gi", "nvidia.com/gpu" = "1" })
    )
    error_message = "A task takes 4 vCPU, 16 GiB and one GPU."
  }
  assert {
    condition = (
      google_cloud_run_v2_job.worker["predict-worker"].template[0].template[0].node_selector[0].accelerator == "nvidia-l4" &&
      google_cloud_run_v2_job.worker["predict-worker"].template[0].template[0].gpu_zonal_redundancy_disabled
    )
    error_message = "The GPU is an L4 without zonal redundancy."
  }
  assert {
    condition = (
      google_cloud_run_v2_job.worker["predict-worker"].template[0].template[0].max_retries >= 1 &&
      tonumber(trimsuffix(google_cloud_run_v2_job.worker["predict-worker"].template[0].template[0].timeout, "s")) < 3600 &&
      google_cloud_run_v2_job.worker["predict-worker"].template[0].parallelism == 4
    )
    error_message = "A task is tried again, ends within the hour, and no more run at once than there are GPUs."
  }
}

run "every_trigger_and_subscription_has_a_dead_letter" {
  command = plan

  assert {
    condition = alltrue([
      for name, subscription in google_pubsub_subscription.push :
      endswith(subscription.dead_letter_policy[0].dead_letter_topic, "/dead-letter") &&
      subscription.dead_letter_policy[0].max_delivery_attempts >= 5 &&
      subscription.retry_policy[0].minimum_backoff == "10s" && subscription.retry_policy[0].maximum_backoff == "600s" &&
      subscription.push_config[0].oidc_token[0].service_account_email != ""
      if local.messages[name].trigger.topic != "dead-letter"
    ])
    error_message = "A push subscription has no dead letter, no retries or no identity."
  }
  assert {
    condition     = toset(keys(google_pubsub_subscription.push)) == toset(keys(local.messages)) && endswith(google_pubsub_subscription.dead_letters.topic, "/dead-letter")
    error_message = "A message has no subscription, or dead letters are kept nowhere."
  }
  assert {
    condition = (
      toset(keys(google_eventarc_trigger.event)) == toset(concat(keys(local.documents), keys(local.objects))) &&
      toset(keys(terraform_data.event_dead_letter)) == toset(keys(google_eventarc_trigger.event)) &&
      toset(keys(google_pubsub_subscription_iam_member.moves_dead_events)) == toset(keys(google_eventarc_trigger.event))
    )
    error_message = "An Eventarc trigger is missing, or its subscription gets no dead letter."
  }
  assert {
    condition = alltrue([
      for name, letter in terraform_data.event_dead_letter :
      endswith(letter.triggers_replace.dead_letter_topic, "/dead-letter") && letter.triggers_replace.ack_deadline > local.functions[name].timeout_seconds
    ])
    error_message = "An event is sent again while its function still works, or dies elsewhere."
  }
  assert {
    condition     = toset(keys(google_pubsub_subscription_iam_member.moves_dead_letters)) == toset(keys(local.messages))
    error_message = "Pub/Sub may not move the dead letters of a subscription."
  }
}

run "events_come_from_where_the_table_says" {
  command = plan

  assert {
    condition = alltrue([
      for name, row in local.documents :
      google_eventarc_trigger.event[name].event_data_content_type == "application/protobuf" &&
      contains([for c in google_eventarc_trigger.event[name].matching_criteria : "${c.attribute} ${c.operator == null ? "=" : c.operator} ${c.value}"], "document match-path-pattern ${row.trigger.pattern}") &&
      contains([for c in google_eventarc_trigger.event[name].matching_criteria : c.value], "google.cloud.firestore.document.v1.written")
    ])
    error_message = "A document's trigger is not protobuf, or not for its pattern."
  }
  assert {
    condition = alltrue([
      for name, row in local.objects :
      contains([for c in google_eventarc_trigger.event[name].matching_criteria : "${c.attribute}=${c.value}"], "bucket=test-${row.trigger.bucket}") &&
      contains([for c in google_eventarc_trigger.event[name].matching_criteria : c.value], "google.cloud.storage.object.v1.finalized")
    ])
    error_message = "An object's trigger is not for its bucket."
  }
  assert {
    condition     = alltrue([for name, row in local.schedules : google_cloud_scheduler_job.schedule[name].schedule == "*/${row.trigger.every_seconds / 60} * * * *"])
    error_message = "The clock strikes otherwise than the table says."
  }
  assert {
    condition = (
      strcontains(google_logging_project_sink.execution_ended.filter, "cloudaudit.googleapis.com%2Fsystem_event") &&
      strcontains(google_logging_project_sink.execution_ended.filter, "protoPayload.methodName=\"/Jobs.RunJob\"")
    )
    error_message = "The end of an execution is not told."
  }
}

run "every_route_is_in_the_url_map_with_its_method" {
  command = plan

  assert {
    condition = alltrue([
      for matcher in google_compute_url_map.api.path_matcher : toset([
        for rule in matcher.route_rules : "${rule.match_rules[0].header_matches[0].exact_match} ${replace(rule.match_rules[0].path_template_match, "=*}", "}")}"
        if rule.match_rules[0].path_template_match != null && rule.match_rules[0].path_template_match != ""
      ]) == toset(flatten([for row in local.http : [for route in row.trigger.routes : "${route.method} ${route.path}"]]))
    ])
    error_message = "The load balancer's routes are not those of the table."
  }
  assert {
    condition     = toset([for matcher in google_compute_url_map.api.path_matcher : matcher.name]) == toset(["candidate", "live"])
    error_message = "There is a map of routes for what serves and one for candidates."
  }
  assert {
    condition = alltrue([
      for matcher in google_compute_url_map.api.path_matcher : length(distinct([for rule in matcher.route_rules : rule.priority])) == length(matcher.route_rules)
    ])
    error_message = "Two rules have one priority."
  }
  assert {
    condition = alltrue([
      for matcher in google_compute_url_map.api.path_matcher :
      [for rule in matcher.route_rules : rule.match_rules[0].header_matches[0].exact_match if rule.priority == 1] == ["OPTIONS"]
    ])
    error_message = "Preflights are not answered."
  }
  assert {
    condition     = alltrue([for route in local.routes : length(split("{", route.path)) <= 6])
    error_message = "A path template takes at most five operators."
  }
  assert {
    condition     = alltrue([for backend in google_compute_backend_service.function : backend.load_balancing_scheme == "EXTERNAL_MANAGED" && backend.security_policy == "per-address"])
    error_message = "A backend has no limit per address."
  }
  assert {
    condition     = length(google_compute_region_network_endpoint_group.function) == 2 * length(local.http)
    error_message = "A function has no endpoint group."
  }
}

run "queries_find_their_indexes" {
  command = plan

  assert {
    condition = length(setsubtract([
      "jobs COLLECTION status created_at-", "jobs COLLECTION model created_at-", "jobs COLLECTION job_type created_at-",
      "jobs COLLECTION_GROUP dispatchable lane created_at", "jobs COLLECTION_GROUP dispatchable lane uid", "jobs COLLECTION dispatchable lane created_at", "jobs COLLECTION_GROUP status created_at",
      "shards COLLECTION done gpu_seconds", "shards COLLECTION state completed", "shards COLLECTION state failed", "shards COLLECTION state items",
      "jobs COLLECTION month cost.gpu_seconds", "jobs COLLECTION month progress.completed", "jobs COLLECTION month progress.failed",
      "jobs COLLECTION month charged_gpu_seconds",
      "deliveries COLLECTION webhook_id created_at-", "deliveries COLLECTION_GROUP state next_attempt_at",
      ], [
      for index in google_firestore_index.query : join(" ", concat(
        [index.collection, index.query_scope], [for field in index.fields : "${field.field_path}${field.order == "DESCENDING" ? "-" : ""}"]
      ))
    ])) == 0
    error_message = "A query of the functions has no index."
  }
  assert {
    condition     = contains([for index in google_firestore_field.status.index_config[0].indexes : index.query_scope], "COLLECTION_GROUP")
    error_message = "All users' runs of one status cannot be counted."
  }
  assert {
    condition     = toset(keys(google_firestore_field.expiry)) == toset(["idempotency", "claims", "notices", "deliveries"]) && alltrue([for field in google_firestore_field.expiry : field.field == "expire_at" && length(field.ttl_config) == 1])
    error_message = "Idempotency keys are never forgotten."
  }
  assert {
    condition     = google_firebaserules_release.firestore.name == "cloud.firestore" && strcontains(google_firebaserules_ruleset.firestore.source[0].files[0].content, "match /users/{uid}/{document=**}")
    error_message = "The rules are not those of the file, or not those in force."
  }
}
