output "ledger" {
  description = "Where everything is recorded: REFIT_LEDGER of the command line, and `ledger` of the rules."
  value       = local.ledger
}

output "wake" {
  description = "What is woken: REFIT_WAKE of the command line. Null with wake = `url`, which takes a token people do not have: commands are answered at the next ping."
  value       = var.wake == "topic" ? local.wake : null
}

output "uris" {
  description = "Where the functions answer, by name."
  value = merge(
    { (local.reconciler.name) = module.reconciler.uri },
    { for name, function in module.intake : name => function.uri },
  )
}

output "members" {
  description = "The accounts of the functions, as IAM names them. Grant the reconciler, and no other, what a pipeline service asks for."
  value = merge(
    { (local.reconciler.name) = module.reconciler.member },
    { for name, function in module.intake : name => function.member },
  )
}

output "reconciler" {
  description = "The account that calls pipeline services, as IAM names it."
  value       = module.reconciler.member
}

output "topics" {
  description = "The topics whose messages are events, by the function that receives them."
  value       = { for name, topic in google_pubsub_topic.events : name => topic.id }
}

output "dead_letters" {
  description = "The subscriptions where what could not be delivered waits, by the function that is to receive it."
  value       = { for name, subscription in google_pubsub_subscription.dead : name => subscription.id }
}

output "next_step" {
  description = "What to do next."
  value = join("\n", concat(
    [
      "Nothing is started before there are rules. Whoever is one of `operators` puts them in force:",
      "",
      "  export REFIT_LEDGER=${local.ledger}",
    ],
    var.wake == "topic" ? ["  export REFIT_WAKE=projects/${var.project}/topics/${google_pubsub_topic.wake[0].name}"] : [],
    ["  refit check refit.yaml && refit apply refit.yaml"],
    length(var.data) == 0 ? [] : [
      "",
      "Then upload something that matches, and ask what became of it:",
      "",
      "  gcloud storage cp FILE gs://${local.first_data}",
      "  refit why gs://${local.first_data}FILE",
    ],
  ))
}

locals {
  first_data = try([for data in values(var.data) : "${data.bucket}/${sort(tolist(data.prefixes))[0]}"][0], "")
}
