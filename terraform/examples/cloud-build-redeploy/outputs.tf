output "next_step" {
  description = "What to do next."
  value       = module.refit.next_step
}

output "ledger" {
  description = "REFIT_LEDGER of the command line."
  value       = module.refit.ledger
}

output "wake" {
  description = "REFIT_WAKE of the command line."
  value       = module.refit.wake
}

output "reconciler" {
  description = "The account that calls pipeline services: grant it, and no other, what they ask for."
  value       = module.refit.reconciler
}
