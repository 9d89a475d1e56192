# A network that is trained in one ball is evaluated in the ball that eval_eps names.
quietly <- sense_control(threads = 1, monitor_size = 16, quiet = TRUE)
fit <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
fit$config$eps <- 0.34

test_that("a fit shows it where it differs from eps", {
  expect_equal(sense:::claimed_eps(fit$config), 0.34) # older fits have no eval_eps
  expect_match(capture.output(fit), "PGD-10 ", all = FALSE)
  fit$config$eval_eps <- 0.3
  for (shown in list(capture.output(fit), capture.output(summary(fit)))) {
    expect_match(shown, "eps = 0.34, K = 10", all = FALSE)
    expect_match(shown, "PGD-10 (eps = 0.3)", fixed = TRUE, all = FALSE)
  }
  expect_match(autoplot(fit)$labels$caption, "under PGD-10\\s\\(eps = 0.3\\);")
  expect_equal(sense:::training_row(fit$config)[c("eps", "eval_eps")], data.frame(eps = 0.34, eval_eps = 0.3))
})

test_that("evaluations take it, and update() keeps it", {
  skip_if_no_sense()
  fit <- train_sense(
    model = "capacity-1", train_size = 128, pretrain = 0, epochs = 1, steps = 3, step_size = 0.1,
    eps = 0.25, eval_eps = 0.2, control = quietly
  )
  quick <- function(fit, ...) {
    evaluate_sense(fit, n = 5, steps = 2, restarts = 1, diagnostics = FALSE, threads = 1, quiet = TRUE, ...)
  }
  expect_equal(quick(fit)$options$eps, 0.2)
  expect_equal(quick(fit, eps = 0.1)$options$eps, 0.1)
  expect_equal(adversarial_examples(fit, n = 2, steps = 2, restarts = 1)$attack$eps, 0.2)
  expect_message(other <- update(fit, eps = 0.3, control = quietly), "other options.*eps")
  expect_equal(other$config[c("eps", "eval_eps")], list(eps = 0.3, eval_eps = 0.2))
  expect_message(same <- update(fit, eval_eps = 0.25, control = quietly), "eval_eps")
  expect_identical(same$weights, fit$weights)
  plain <- train_sense(model = "capacity-1", train_size = 128, pretrain = 0, epochs = 1, control = quietly)
  expect_message(smaller <- update(plain, eps = 0.2, control = quietly), "eps")
  expect_equal(sense:::claimed_eps(smaller$config), 0.2)
})

test_that("a table has one for each feature, in its own units", {
  skip_if_no_sense()
  trained <- function(eval_eps) {
    train_sense(
      am ~ hp + wt, mtcars,
      eps = c(wt = 0.5, hp = 40), eval_eps = eval_eps, epochs = 1, control = quietly
    )
  }
  fit <- trained(c(wt = 0.25, hp = 20))
  expect_equal(fit$config$eval_eps, fit$config$eps / 2)
  expect_equal(trained(0.1)$config$eval_eps, 0.1)
  expect_error(trained(c(wt = 0.25, hp = 40)), "eval_eps.* must be one multiple")
  expect_error(trained(c(wt = 0.25, disp = 40)), "`eval_eps` must be one number, or 2 named")
  expect_error(trained(c(wt = -1, hp = 40)), "eval_eps")
})
