# The arguments of a valid call of each exported function. The test replaces each argument by invalid
# values. NULL: the function is not tested this way, for the reason beside it.
data <- three_clusters(40, seed = 1)
line <- vertical_line()
trained <- fit_linear_at(data, iterations = 3)
grid <- data.frame(method = "r-at", setting = "large-step", p = 0.55, gamma = 8, c = 0.9)
runs <- study_linear_at(grid, seeds = 1, n = 200)
stored <- system.file("extdata", "mnist-demo", "sense", package = "sense")
fit <- read_sense_fit(stored)
law <- list(p = 0.55, m = 7, sigma = 0.2)
calls <- list(
  accuracies = list(folders = stored, level = 0.9),
  adversarial_examples = list(fit = fit, n = 1, attack = "pgd", x = array(0, c(2, 28, 28)), y = c("1", "2"), data_dir = "x", model = "a", device = "cpu", threads = 1),
  autoplot = NULL, # ggplot2's
  bayes_boundary = list(object = bayes_rule(), x2 = 1:3),
  bayes_rule = law,
  best_line = c(law, eps = 1, norm = 2),
  boundary_distance = list(classifier = line, x = data, norm = 2),
  boundary_motion = list(fit = trained, window = 10),
  boundary_type = list(path = trained, m = 7),
  calibration = list(object = matrix(0.5, 2, 2, dimnames = list(NULL, c("a", "b"))), truth = c("a", "b"), bins = 2, level = 0.9),
  collapse_radius = law[c("p", "m")],
  compare_sense = NULL, # takes dots alone: below
  confusion = list(object = read_sense_evaluation(stored), attack = "pgd"),
  evaluate_sense = list(fit = fit, attacks = "pgd", eps = 0.1, n = 1, x = array(0, c(2, 28, 28)), y = c("1", "2"), data_dir = "x", out = tempfile(), overwrite = TRUE, model = "a", device = "cpu", threads = 1, quiet = TRUE),
  exact_interval = list(k = 3, n = 10, level = 0.9),
  example1_risks = list(p = 0.7, eps = 0.1),
  simulate_example1 = list(p = 0.7, eps = 0.1, n = 100, level = 0.9, seed = 1),
  export_sense = list(fit = fit, file = "x", x = array(0, c(2, 28, 28)), data_dir = "x", overwrite = TRUE, model = "a"),
  figure2 = list(eps = 0.03, p = 0.7, norm = 2, cells = 12),
  figure3 = list(c = 0.7),
  figure4 = c(law, list(gamma = 8, p_lines = 0.5, n = 100, seed = 1)),
  figure5 = list(gamma = 1, sigma = c(0.1, 0.2)),
  figure6 = c(list(iterations = c(0, 1), setting = "paper"), law, gamma = 8, c = 0.9, n = 100, seed = 1, draws = 50),
  fit_linear_at = list(data = data, method = "sense", c = 0.9, eps = 1, K = 1, setting = "paper", learning_rate = 1, iterations = 2, gradient = "sum", renew_every = 1, boundary = "project", norm = 2, start = c(0, 1, 1)),
  glance.linear_at = list(x = trained, window = 10),
  install_sense = list(envname = "x", python = "y", constraints = "z"),
  linear_at_settings = list(),
  linear_classifier = list(w = c(1, 2), b = 1),
  paired_interval = list(only_first = 3, only_second = 2, n = 10, level = 0.9),
  paper_errata = list(n = 1000, seed = 1),
  plot_path = list(fits = list(trained)),
  read_sense_evaluation = list(folder = stored, level = 0.9),
  read_sense_fit = list(folder = stored),
  images_from_folder = list(folder = tempdir(), size = c(2, 2), colour = FALSE, max_images = 5),
  linear_risk = c(list(classifier = line), law, eps = 1, norm = 2),
  simulate_risk = c(list(classifier = line), law, list(eps = 1, norm = 2, kind = "robust", n = 100, level = 0.9, seed = 1)),
  seal_run = list(folder = tempfile()),
  sense_available = list(),
  sense_control = list(out = "x", device = "cpu", threads = 1, seed = 1, monitor_size = 1, quiet = TRUE),
  sense_mlp = list(x = iris[1:4], y = iris$Species, hidden_units = 2, penalty = 0, epochs = 1, learn_rate = 0.1, control = sense_control()),
  sense_report = list(folders = stored, out = "x", level = 0.9),
  sensible_loss = list(x = data, y = data$y, classifier = line, eps = 1, c = 0.9, form = "example", norm = 2),
  sensible_loss_from_probabilities = list(p_natural = 0.9, p_adversarial = 0.5, c = 0.7, form = "truncated"),
  sensible_stage = list(p_natural = 0.9, p_adversarial = 0.5, c = 0.7),
  sensible_examples = list(x = data, y = data$y, classifier = line, eps = 1, c = 0.9, K = 2, step_size = 0.5, boundary = "revert", misclassified = "stay", norm = 2),
  stored_study = list(),
  study_linear_at = list(grid = grid, seeds = 1, n = 100, m = 7, sigma = 0.2, window = 10),
  summarise_study = list(runs = runs, level = 0.9),
  reproduce_sense = list(
    experiment = "mnist", scale = "cpu", run = FALSE, out = "reproduce", seeds = 1, mnist = "here", cifar10 = "here", workers = 1,
    threads = 1, quiet = TRUE
  ),
  sweep_sense = list(
    grid = list(seed = 1), out = "runs", recipe = "mnist-demo", evaluation = list(n = 5), mnist = "here", cifar10 = "here",
    workers = 1, threads = 1, retries = 1, quiet = TRUE
  ),
  three_clusters = c(n = 10, law, seed = 1),
  tidy.linear_at = list(x = trained),
  train_sense = list(method = "nt", model = "capacity-1", c = 0.7, eps = 0.1, epochs = 1, minutes = 1, x = array(0, c(8, 2, 2)), y = rep(1:2, 4), x_test = array(0, c(2, 2, 2)), y_test = 1:2, recipe = "mnist-demo", config = "x", control = sense_control()),
  truncated_adversarial_loss = list(p = 0.5, c = 0.7),
  truncated_natural_loss = list(p = 0.5, c = 0.7),
  two_cluster_line = law,
  vertical_line = list(),
  wilson_interval = list(k = 3, n = 10, level = 0.9),
  example2_classifier = list(x = cbind(0.2, 0.2), kind = "robust", eps = 0.03, norm = 2),
  example2_risk = list(kind = "robust", eps = 0.03, p = 0.7, norm = 2),
  simulate_example2 = list(kind = "robust", eps = 0.03, p = 0.7, norm = 2, n = 100, level = 0.9, seed = 1, support = "square")
)

# Values that are invalid for every argument.
bad_values <- list(
  factor = factor("3"), complex = 1i, raw = as.raw(1), date = as.Date("2026-01-01"),
  difftime = as.difftime(1, units = "secs"), integer64 = structure(1, class = "integer64"),
  list = list(1), empty_list = list(), name = quote(x), environment = globalenv(),
  zero = numeric(), no_word = character(), "NA" = NA, missing_number = NA_real_, not_a_number = NaN, missing_word = NA_character_,
  nested = list(list()), formula = y ~ x
)

# Three kinds of values per argument, in turn. SENSE_ALL_VALUES=1 tests all, in two minutes.
kinds_of <- function(i) {
  kinds <- names(bad_values)
  if (nzchar(Sys.getenv("SENSE_ALL_VALUES"))) kinds else kinds[(i + c(0, 6, 12)) %% length(kinds) + 1]
}

test_that("the table has every exported function with all its arguments", {
  exported <- getNamespaceExports("sense")
  expect_setequal(names(calls), exported[!startsWith(exported, ".__")])
  for (name in setdiff(names(calls), c("autoplot", "compare_sense"))) {
    arguments <- setdiff(names(formals(getExportedValue("sense", name))), "...")
    missing <- setdiff(arguments, names(calls[[name]]))
    allowed <- list(train_sense = "data", sense_control = "resume", figure6 = "fits")[[name]]
    expect_equal(length(setdiff(missing, allowed)), 0, info = name)
  }
})

test_that("invalid values are refused by the name of the argument", {
  dir <- setwd(tempdir())
  on.exit(setwd(dir))
  wrong <- character()
  count <- 0
  for (name in setdiff(names(calls), c("autoplot", "compare_sense"))) {
    f <- getExportedValue("sense", name)
    for (argument in names(calls[[name]])) {
      count <- count + 1
      for (kind in kinds_of(count)) {
        if (kind == "factor" && argument %in% c("y", "y_test")) next # a factor of classes
        if (kind == "empty_list" && argument == "evaluation") next # the defaults of evaluate_sense()
        given <- calls[[name]]
        given[argument] <- bad_values[kind]
        e <- tryCatch(suppressWarnings(do.call(f, given, quote = TRUE)), error = identity)
        said <- if (inherits(e, "rlang_error")) cli::ansi_strip(conditionMessage(e)) else "no error of ours"
        if (!grepl(paste0("`", argument), said, fixed = TRUE)) {
          wrong <- c(wrong, sprintf("%s(%s = <%s>): %s", name, argument, kind, said))
        }
      }
    }
  }
  expect_equal(wrong, character())
  for (kind in names(bad_values)) expect_error(compare_sense(bad_values[[kind]], stored), "must be", info = kind)
})

test_that("whole numbers beyond R's integers are refused, or passed on as they are", {
  for (call in list(
    quote(three_clusters(5, seed = 2^31)), quote(three_clusters(2^31)), quote(sensible_examples(data, data$y, line, 1, 0.9, K = 2^40)),
    quote(study_linear_at(grid, seeds = 2^31)), quote(simulate_risk(line, n = 2^33)), quote(fit_linear_at(data, K = 3e9))
  )) expect_error(eval(call), "at most 2147483647")
  expect_identical(sense_control(seed = 2^32 - 1)$options$seed, 2^32 - 1)
  expect_error(sense_control(seed = 2^32), "seed.*at most 4294967295")
  expect_error(sense_control(threads = 2^31), "threads.*at most 2147483647")
})

test_that("labels, points and weights are read by their values and names", {
  truth <- sensible_examples(data, data$y, line, eps = 1, c = 0.9)
  for (y in list(factor(data$y), factor(data$y, levels = c(1, -1)), as.character(data$y), matrix(data$y), as.numeric(data$y), data$y)) {
    expect_equal(sensible_examples(data, y, line, 1, 0.9), truth)
    expect_equal(sensible_loss(data, y, line, 1, 0.9), sensible_loss(data, data$y, line, 1, 0.9))
    own <- data
    own$y <- as.vector(y)
    if (is.factor(y)) own$y <- y
    expect_equal(fit_linear_at(own, iterations = 3)$path, trained$path)
  }
  x <- as.matrix(as.data.frame(data)[c("x1", "x2")])
  plain <- predict(linear_classifier(c(1, 3)), unname(x), "score")
  for (points in list(data, x, x[, 2:1], cbind(z = 9, x[, 2:1]), data.frame(z = "a", x2 = x[, 2], x1 = x[, 1]))) {
    expect_equal(predict(linear_classifier(c(x2 = 3, x1 = 1)), points, "score"), plain)
    expect_equal(boundary_distance(line, points), boundary_distance(line, unname(x)))
  }
  expect_error(predict(line, cbind(x1 = 1, x3 = 2)), "newdata")
  expect_error(predict(line, data.frame(x1 = factor(5), x2 = 1)), "newdata")
  start <- c(x2 = 2, `(Intercept)` = 0.5, x1 = 1)
  expect_equal(unname(fit_linear_at(data, start = start, iterations = 1)$path[1, ]), c(0.5, 1, 2))
  expect_equal(boundary_type(trained$path[, 3:1]), boundary_type(trained$path))
  expect_equal(
    boundary_distance(function(x) factor(ifelse(x[, 1] > 0, 1, -1)), cbind(0.5, 0), reach = 2),
    boundary_distance(function(x) ifelse(x[, 1] > 0, 1, -1), cbind(0.5, 0), reach = 2)
  )
  expect_equal(wilson_interval(90L, 100000L)$lower, wilson_interval(90, 1e5)$lower)
  expect_equal(linear_risk(line, p = c(a = 0.5), eps = 1L), linear_risk(line, p = 0.5, eps = 1))
  words <- transform(grid, method = factor(method), setting = factor(setting, c("script", "large-step")))
  expect_equal(study_linear_at(words, seeds = 1, n = 200)$robust_risk, runs$robust_risk)
})

test_that("measurements are not classes, and integer pixels of 0 and 1 are ambiguous", {
  as_images <- function(x, y) sense:::as_images(x, y, NULL, NULL)
  x <- array(0.5, c(1200, 2, 2))
  expect_error(as_images(x, seq_len(1200)), "1200 different numbers for 1200 images.*factor\\(y\\)")
  expect_error(as_images(x, rep(c(0.5, 1.5), 600)), "fractions")
  expect_error(as_images(x, rep(7, 1200)), "one class only")
  expect_error(as_images(x, factor(rep("a", 1200), c("a", "b"))), "one class only")
  for (y in list(rep(c(2, 10), 600), rep(c(2L, 10L), 600), rep(c("2", "10"), 600), matrix(rep(c(2, 10), 600)))) {
    expect_setequal(unlist(as_images(x, y)$classes), c("2", "10"))
  }
  ones <- array(c(0L, 1L), c(4, 2, 2))
  expect_error(sense:::as_image_array(ones, "x"), "no integers but 0 and 1.*x \\* 1")
  expect_error(sense:::as_image_array(ones == 1, "x"), "black and white")
  expect_equal(sense:::as_image_array(ones * 1, "x"), ones)
  expect_equal(sense:::as_image_array(ones * 255L, "x"), ones * 255L)
})
