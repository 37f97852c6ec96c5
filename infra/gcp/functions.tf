# The table of functions, as this folder uses it. A function is added there, never here.

locals {
  # The table lies beside this folder. Where Terraform runs on a copy of the folder alone (a remote runner, a checker),
  # it is found from the root of the repository, in which Terraform was called.
  tables = [
    for path in ["${path.module}/../functions.json", "${path.cwd}/infra/functions.json"] : path if fileexists(path)
  ]
  rows      = jsondecode(file(local.tables[0])).functions
  functions = { for row in local.rows : row.name => row }

  job_functions = { for name, row in local.functions : name => row if row.trigger.type == "job" }
  services      = { for name, row in local.functions : name => row if row.trigger.type != "job" }

  http      = { for name, row in local.services : name => row if row.trigger.type == "http" }
  called    = { for name, row in local.services : name => row if row.trigger.type != "http" }
  documents = { for name, row in local.services : name => row if row.trigger.type == "document_written" }
  objects   = { for name, row in local.services : name => row if row.trigger.type == "object_finalized" }
  messages  = { for name, row in local.services : name => row if row.trigger.type == "message" }
  schedules = { for name, row in local.services : name => row if row.trigger.type == "schedule" }

  # One entry for every role of every function, `FUNCTION/ROLE`.
  grants = merge([
    for name, row in local.functions : { for role in row.roles : "${name}/${role}" => { function = name, role = role } }
  ]...)
}
