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

test_that("data that are passed again are not written into the run", {
  skip_if_no_sense()
  x <- array(stats::runif(300 * 24 * 24), c(300, 24, 24)) # as text more than config.json may have
  y <- rep(c("a", "b"), 150)
  control <- sense_control(quiet = TRUE, threads = 1)
  fit <- train_sense(x, y, model = "capacity-1", epochs = 1, pretrain = 0, steps = 1, method = "nt", control = control)
  suppressMessages(again <- update(fit, lr = 0.01, x = x, y = y, control = control))
  expect_equal(again$provenance$command, "update(fit, lr = 0.01, x = x, y = y, control = control)")
  failed <- tryCatch(suppressMessages(update(fit, lr = -1, x = x, y = y)), error = identity)
  expect_lt(nchar(paste(deparse(conditionCall(failed)), collapse = "")), 200)
})

# The radius of each feature in its own unit.
own_radii <- function(fit) unlist(fit$data$features$scale) * fit$config$eps
each_eps <- c(Sepal.Length = 0.1, Sepal.Width = 0.2, Petal.Length = 0.3, Petal.Width = 0.4)
table_fit <- function(...) {
  train_sense(Species ~ ., iris, epochs = 1, pretrain = 0, ..., control = sense_control(quiet = TRUE, threads = 1))
}

test_that("radii and bounds of features are options of a fit", {
  skip_if_no_sense()
  quiet <- sense_control(quiet = TRUE, threads = 1)
  fit <- table_fit(eps = each_eps, bounds = "range")
  expect_equal(own_radii(fit), unname(each_eps))
  again <- function(...) suppressMessages(update(fit, formula = Species ~ ., data = iris, ..., control = quiet))
  expect_equal(again(c = 0.5)$data, fit$data)
  same <- train_sense(Species ~ ., iris, config = file.path(fit$folder, "config.json"), control = quiet)
  expect_identical(same$weights, fit$weights)
  expect_equal(own_radii(again(eps = 0.2)), unname(vapply(iris[1:4], stats::sd, 0)) * 0.2)
  expect_equal(again(eps = 0.2)$data$features$low, fit$data$features$low)
  wider <- again(bounds = c(0, 10))
  expect_equal(own_radii(wider), unname(each_eps))
  expect_equal(unlist(wider$data$features$high), rep(10, 4))
  # The order of the columns does not matter; other columns need an eps.
  reordered <- suppressMessages(update(fit, formula = Species ~ ., data = iris[5:1], c = 0.5, control = quiet))
  expect_identical(reordered$weights, again(c = 0.5)$weights)
  expect_error(
    suppressMessages(update(fit, formula = Species ~ Petal.Width, data = iris, c = 0.5, control = quiet)),
    "give eps and bounds"
  )
})

test_that("a table is trained further with the same features only", {
  skip_if_no_sense()
  fit <- table_fit(eps = each_eps, schedule = "constant")
  more <- function(data, epochs, ...) {
    control <- sense_control(quiet = TRUE, threads = 1)
    testthat::capture_messages(
      found <- update(fit, formula = Species ~ ., data = data, epochs = epochs, ..., control = control)
    ) -> said
    list(fit = found, further = !any(grepl("Training again", said)))
  }
  for (epochs in 2:3) {
    found <- if (epochs == 2) more(iris, 2) else more(iris, 3, eps = each_eps)
    expect_true(found$further)
    expect_equal(nrow(found$fit$metrics), epochs)
    fit <- found$fit
  }
  doubled <- transform(iris, Sepal.Length = 2 * Sepal.Length)
  expect_error(
    train_sense(Species ~ ., doubled, epochs = 9, control = sense_control(resume = fit$folder)),
    "made with other data", class = "sense_other_data"
  )
  for (found in list(more(doubled, 4), more(iris[-1, ], 4), more(iris, 4, bounds = "range"), more(iris, 4, eps = 2 * each_eps))) {
    expect_false(found$further)
    expect_false(found$fit$folder == fit$folder)
  }
  expect_equal(own_radii(found$fit), 2 * unname(each_eps))
})
