# Who may reach and do what, by the plan of a whole environment.

mock_provider "google" {
  mock_resource "google_service_account" {
    override_during = plan
    defaults        = { email = "account@test-project.iam.gserviceaccount.com", member = "serviceAccount:account@test-project.iam.gserviceaccount.com" }
  }
}

run "nothing_is_public_but_the_http_functions" {
  command = plan

  assert {
    condition     = sort([for member in google_cloud_run_v2_service_iam_member.clients : member.name]) == sort(keys(local.http))
    error_message = "Everybody may call something that is no HTTP function, or cannot call one that is."
  }
  assert {
    condition     = alltrue([for member in google_cloud_run_v2_service_iam_member.caller : !contains(["allUsers", "allAuthenticatedUsers"], member.member)])
    error_message = "Everybody may call a function that has a trigger."
  }
  assert {
    condition = alltrue([
      for name, service in google_cloud_run_v2_service.function :
      service.ingress == (contains(keys(local.http), name) ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY")
    ])
    error_message = "A service can be reached from where it must not."
  }
  assert {
    condition = alltrue([
      for bucket in google_storage_bucket.bucket : bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access
    ])
    error_message = "A bucket could be made public."
  }
  assert {
    condition = alltrue([
      for member in concat(
        values(google_storage_bucket_iam_member.objects), values(google_storage_bucket_iam_member.weights),
        values(google_pubsub_topic_iam_member.publish), values(google_cloud_run_v2_job_iam_member.executions)
      ) : startswith(member.member, "serviceAccount:")
    ])
    error_message = "Something is granted to somebody who is no service account."
  }
  assert {
    condition     = alltrue(flatten([for bucket in google_storage_bucket.bucket : [for cors in bucket.cors : !contains(cors.origin, "*")]]))
    error_message = "Any page may use the signed links."
  }
}

run "roles_are_narrow" {
  command = plan

  assert {
    condition = alltrue([
      for member in concat(
        values(google_project_iam_member.documents), values(google_project_iam_member.pipeline), values(google_project_iam_member.event_receiver),
        [google_project_iam_member.storage_announces]
        ) : contains([
          "roles/datastore.viewer", "roles/datastore.user", "roles/eventarc.eventReceiver", "roles/pubsub.publisher",
          "roles/run.developer", "roles/logging.logWriter", "roles/monitoring.viewer",
      ], member.role)
    ])
    error_message = "An account has a role on the whole project that it must not have: editor, owner, or another one."
  }
  assert {
    condition     = alltrue([for member in google_project_iam_member.documents : strcontains(member.condition[0].expression, "/databases/(default)")])
    error_message = "A grant on documents is not narrowed to the database."
  }
  assert {
    condition = sort(concat(
      keys(google_project_iam_member.documents), keys(google_storage_bucket_iam_member.objects), keys(google_pubsub_topic_iam_member.publish),
      [for name in keys(google_service_account_iam_member.sign) : "${name}/sign"],
      distinct([for grant in local.execution_grants : "${grant.function}/${grant.role}"])
    )) == sort(keys(local.grants))
    error_message = "A role of the table has become no grant, or a grant comes from nowhere."
  }
  assert {
    condition     = google_storage_bucket_iam_member.objects["submit-batch/uploads.read"].bucket == "test-uploads" && google_storage_bucket_iam_member.objects["submit-batch/uploads.read"].role == "roles/storage.objectViewer"
    error_message = "Who reads uploads may do more than that."
  }
  assert {
    condition     = toset([for member in google_cloud_run_v2_job_iam_member.executions : member.role if member.role != "roles/run.viewer"]) == toset(["roles/run.jobsExecutorWithOverrides"])
    error_message = "Executions are started with another role."
  }
}

run "no_file_opens_the_project_or_a_function" {
  command = plan

  assert {
    condition = alltrue([
      for name in fileset(path.module, "*.tf") : length(regexall("roles/(editor|owner|[a-zA-Z.]*[aA]dmin)\"", file("${path.module}/${name}"))) == 0
    ])
    error_message = "A file gives a role of editor, owner or administrator."
  }
  assert {
    condition     = sum([for name in fileset(path.module, "*.tf") : length(regexall("\"all(Authenticated)?Users\"", file("${path.module}/${name}")))]) == 1
    error_message = "Everybody is named somewhere else than where clients may call HTTP functions."
  }
}
