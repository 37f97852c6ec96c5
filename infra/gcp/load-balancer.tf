# One host for all functions: the path and the method decide which service answers.

locals {
  # Each function twice: as it serves, and as the revision that carries the tag `candidate`. A candidate can be tried
  # from outside on its own host although its service is closed to everybody but the load balancer.
  releases = {
    live      = { host = var.domain, tag = null, prefix = "" }
    candidate = { host = "candidate.${var.domain}", tag = "candidate", prefix = "candidate-" }
  }
  backends = merge([
    for release, settings in local.releases : {
      for name in keys(local.http) : "${release}/${name}" => merge(settings, { function = name })
    }
  ]...)

  # Rules in the order of paths. `{job_id}` of the table is `{job_id=*}` here: any one segment.
  routes = [
    for line in sort(flatten([
      for name, row in local.http : [for route in row.trigger.routes : "${route.path} ${route.method} ${name}"]
    ])) : zipmap(["path", "method", "function"], split(" ", line))
  ]

  # Answers preflights and whatever has no route. All functions answer them alike; this one can touch nothing.
  fallback = "get-openapi"
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each = local.backends

  name                  = "${each.value.prefix}${each.value.function}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.function[each.value.function].name
    tag     = each.value.tag
  }
}

resource "google_compute_backend_service" "function" {
  for_each = local.backends

  name                    = "${each.value.prefix}${each.value.function}"
  load_balancing_scheme   = "EXTERNAL_MANAGED"
  protocol                = "HTTPS"
  security_policy         = google_compute_security_policy.per_address.id
  custom_response_headers = ["Strict-Transport-Security: max-age=31536000", "X-Content-Type-Options: nosniff"]

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "api" {
  name            = "api"
  default_service = google_compute_backend_service.function["live/${local.fallback}"].id

  dynamic "host_rule" {
    for_each = local.releases
    content {
      hosts        = [host_rule.value.host]
      path_matcher = host_rule.key
    }
  }

  dynamic "path_matcher" {
    for_each = local.releases
    content {
      name            = path_matcher.key
      default_service = google_compute_backend_service.function["${path_matcher.key}/${local.fallback}"].id

      # Browsers ask before they call. The lowest number is looked at first.
      route_rules {
        priority = 1
        service  = google_compute_backend_service.function["${path_matcher.key}/${local.fallback}"].id
        match_rules {
          prefix_match = "/"
          header_matches {
            header_name = ":method"
            exact_match = "OPTIONS"
          }
        }
      }

      dynamic "route_rules" {
        for_each = local.routes
        content {
          priority = 10 + route_rules.key
          service  = google_compute_backend_service.function["${path_matcher.key}/${route_rules.value.function}"].id
          match_rules {
            path_template_match = replace(route_rules.value.path, "}", "=*}")
            header_matches {
              header_name = ":method"
              exact_match = route_rules.value.method
            }
          }
        }
      }
    }
  }
}

# Many requests from one address are refused before they reach a function. Users' own limits are the services'.
resource "google_compute_security_policy" "per_address" {
  name = "per-address"

  rule {
    priority    = 1000
    action      = "throttle"
    description = "So many requests a minute from one address"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        count        = var.requests_per_minute_per_ip
        interval_sec = 60
      }
    }
  }

  rule {
    priority    = 2147483647
    action      = "allow"
    description = "Everybody else"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_global_address" "api" {
  name       = "api"
  depends_on = [google_project_service.api]
}

# A certificate cannot be changed: another list of hosts is another certificate, made before the old one goes.
resource "google_compute_managed_ssl_certificate" "api" {
  name = "api-${substr(sha256(var.domain), 0, 8)}"

  managed {
    domains = [for release in local.releases : release.host]
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_ssl_policy" "api" {
  name            = "api"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.api]
}

resource "google_compute_target_https_proxy" "api" {
  name             = "api"
  url_map          = google_compute_url_map.api.id
  ssl_certificates = [google_compute_managed_ssl_certificate.api.id]
  ssl_policy       = google_compute_ssl_policy.api.id
}

resource "google_compute_global_forwarding_rule" "https" {
  name                  = "api-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.api.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.api.id
}

# Plain HTTP is told to come back with TLS.
resource "google_compute_url_map" "redirect" {
  name = "api-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_target_http_proxy" "redirect" {
  name    = "api-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "api-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.api.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
}
