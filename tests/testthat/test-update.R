short <- function(...) {
  train_sense(
    model = "capacity-1", train_size = 128, pretrain = 0, ...,
    control = sense_control(threads = 1, monitor_size = 8, quiet = TRUE)
  )
}
quietly <- sense_control(threads = 1, monitor_size = 8, quiet = TRUE)

test_that("more epochs train further, to the same end as one longer run", {
  skip_if_no_sense()
  fit <- short(epochs = 1, schedule = "constant")
  folder <- fit$folder
  expect_message(longer <- update(fit, epochs = 2, control = quietly), "Training further, in")
  expect_equal(longer$folder, folder)
  expect_identical(longer$weights, short(epochs = 2, schedule = "constant")$weights)
  # The fit is no longer the one of the folder.
  expect_message(again <- update(fit, epochs = 2, control = quietly), "no longer holds")
  expect_identical(again$weights, longer$weights)
  expect_false(again$folder == folder)
})

test_that("other options train again, with all options of the fit", {
  skip_if_no_sense()
  fit <- short(epochs = 1, c = 0.4, steps = 2)
  expect_message(other <- update(fit, c = 0.6, control = quietly), "again from the first epoch.*: c\\.")
  expect_equal(other$config$c, 0.6)
  same <- setdiff(names(fit$config), c("c", "quiet"))
  expect_equal(other$config[same], fit$config[same])
  expect_message(longer <- update(fit, epochs = 2, control = quietly), "learning rate fell to 0")
  expect_identical(longer$weights, short(epochs = 2, c = 0.4, steps = 2)$weights)
})

test_that("why a fit is trained again", {
  fit <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  why <- function(..., out = NULL) sense:::why_again(fit, list(...), out)
  expect_match(why(method = "nt"), "other options.*method")
  expect_match(why(epochs = 20), "checkpoint")
  expect_match(why(threads = 2, c = 0.7), "checkpoint")
  expect_match(why(out = "x"), "out")
  expect_error(update(fit, control = sense_control(resume = "x")), "resume")
  expect_error(update(fit, recipe = "mnist"), "Leave out `recipe`")
  expect_error(update(fit, config = "config.toml"), "Leave out `config`")
  expect_error(update(fit, 3), "must be named")
})

test_that("the code of a network's module runs only if it is named again", {
  skip_if_no_sense()
  fit <- short(epochs = 1)
  fit$description <- sub("\"capacity-1\"", "\"no_such_module:make\"", fit$description)
  fit <- seal_run(fit)
  expect_error(suppressMessages(update(fit, c = 0.6, control = quietly)), "name it yourself: model = ")
})
