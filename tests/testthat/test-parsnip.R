# Functions of packages that are not among the suggested ones, because Debian has none of them.
of <- function(package, name) getExportedValue(package, name)

test_that("the engine is registered with all that parsnip asks for", {
  # parsnip's functions, which note how they are called.
  calls <- list()
  note <- function(name) function(...) calls[[length(calls) + 1]] <<- list(name = name, ...)
  setters <- c("set_model_engine", "set_dependency", "set_model_arg", "set_fit", "set_encoding", "set_pred")
  stub <- stats::setNames(lapply(setters, note), setters)
  stub$get_from_env <- function(model) data.frame(engine = "nnet", mode = "classification")
  sense:::register_engine(stub)
  named <- function(name) Filter(function(call) call$name == name, calls)
  for (call in calls) expect_equal(list(call[[2]], call$eng), list("mlp", "sense"), info = call$name)
  expect_setequal(vapply(named("set_model_arg"), function(call) call$original, ""), setdiff(names(formals(sense_mlp)), c("x", "y", "...", "control")))
  expect_equal(named("set_fit")[[1]]$value$func, c(pkg = "sense", fun = "sense_mlp"))
  expect_equal(vapply(named("set_pred"), function(call) call$type, ""), c("class", "prob"))
  stub$get_from_env <- function(model) data.frame(engine = "sense", mode = "classification")
  before <- length(calls)
  sense:::register_engine(stub)
  expect_length(calls, before)
})

test_that("arguments are checked by their names", {
  expect_error(sense_mlp(iris[1:4], iris$Species, hidden_units = 0), "`hidden_units`")
  expect_error(sense_mlp(iris[1:4], iris$Species, penalty = -1), "`penalty`")
  expect_error(sense_mlp(iris[1:4], iris$Species, learn_rate = 0), "`learn_rate`")
})

test_that("loading in either order registers the engine, without loading parsnip", {
  said <- fresh_r(c("library(sense)", "cat(isNamespaceLoaded('parsnip'))"))
  expect_equal(said, "FALSE")
  skip_if_not_installed("parsnip")
  shown <- "cat('sense' %in% getExportedValue('parsnip', 'show_engines')('mlp')$engine)"
  expect_equal(utils::tail(fresh_r(c("library(sense)", "loadNamespace('parsnip')", shown)), 1), "TRUE")
  expect_equal(utils::tail(fresh_r(c("loadNamespace('parsnip')", "library(sense)", shown)), 1), "TRUE")
})

test_that("a specification fits and predicts in parsnip's form", {
  skip_if_not_installed("parsnip")
  skip_if_no_sense()
  spec <- of("parsnip", "set_engine")(
    of("parsnip", "mlp")("classification", hidden_units = 8, epochs = 5), "sense",
    method = "nt", lr = 0.1, control = sense_control(threads = 1, quiet = TRUE, seed = 3)
  )
  fitted <- generics::fit(spec, Species ~ ., iris)
  class <- stats::predict(fitted, iris[c(1, 51, 101), ])
  expect_named(class, ".pred_class")
  expect_equal(levels(class$.pred_class), levels(iris$Species))
  probabilities <- stats::predict(fitted, iris, type = "prob")
  expect_named(probabilities, paste0(".pred_", levels(iris$Species)))
  expect_equal(rowSums(probabilities), rep(1, 150), tolerance = 1e-6)
  expect_s3_class(fitted$fit, "sense_fit")
  expect_equal(fitted$fit$config$model, "mlp-8")
  expect_identical(as.matrix(probabilities), predict(fitted$fit, iris, type = "prob"), ignore_attr = TRUE)
  both <- generics::augment(fitted, iris)
  expect_true(all(c(".pred_class", ".pred_setosa") %in% names(both)))
  expect_error(generics::fit(spec, Sepal.Length > 5 ~ Species, iris))
  skip_if_not_installed("yardstick")
  expect_gt(of("yardstick", "accuracy")(both, Species, .pred_class)$.estimate, 1 / 3)
})
