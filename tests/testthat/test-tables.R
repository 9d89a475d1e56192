quiet <- sense_control(threads = 1, quiet = TRUE)

flowers <- local({
  fit <- NULL
  function() {
    if (is.null(fit)) {
      fit <<- train_sense(Species ~ ., iris, epochs = 8, pretrain = 2, control = quiet)
    }
    fit
  }
})

test_that("a formula trains on a table, with the scaling and the levels kept", {
  skip_if_no_sense()
  fit <- flowers()
  expect_equal(fit$config$dataset, "table")
  expect_equal(fit$config$model, "mlp")
  expect_equal(fit$data$classes, levels(iris$Species))
  expect_equal(fit$data$features$names, names(iris)[1:4])
  expect_equal(fit$data$features$center, unname(colMeans(iris[1:4])))
  expect_equal(fit$data$features$scale, unname(vapply(iris[1:4], sd, 0)))
  expect_length(fit$validation, 25)
  predicted <- predict(fit, iris)
  expect_identical(levels(predicted), levels(iris$Species))
  expect_gt(mean(predicted == iris$Species), 0.85)
  expect_output(print(fit), "mlp on table")
})

test_that("columns are found by their names, also by a fit read from its folder", {
  skip_if_no_sense()
  fit <- flowers()
  p <- predict(fit, iris, type = "prob")
  expect_equal(rowSums(p), rep(1, 150), tolerance = 1e-6)
  expect_equal(predict(fit, iris[5:1], type = "prob"), p)
  expect_equal(predict(fit, as.matrix(iris[4:1]), type = "prob"), p)
  expect_equal(predict(fit, unname(as.matrix(iris[1:4])), type = "prob"), p)
  expect_equal(predict(read_sense_fit(fit$folder), iris, type = "prob"), p)
  expect_error(predict(fit, iris[1:3]), "newdata.*no column.*Petal.Width")
  expect_error(predict(fit, transform(iris, Petal.Width = "a")), "numeric.*Petal.Width.*is not")
  missing <- iris
  missing[7, 2] <- NA
  expect_error(predict(fit, missing), "Sepal.Width.*NA.*row 7 of `newdata`")
})

test_that("a table is evaluated under all attacks, and its examples are rows in their units", {
  skip_if_no_sense()
  fit <- flowers()
  expect_error(evaluate_sense(fit), "trained on a table, which it does not store")
  attacks <- c("fgsm", "pgd", "deepfool")
  if (reticulate::py_module_available("pyautoattack")) attacks <- c(attacks, "square", "autoattack")
  evaluation <- evaluate_sense(
    fit, attacks, x = iris, y = iris$Species, steps = 5, restarts = 1, queries = 50,
    diagnostics = FALSE, threads = 1, quiet = TRUE
  )
  k <- evaluation$accuracy$k
  expect_gte(length(k), 4)
  expect_true(all(k[-1] <= k[1]))
  rows <- c(1, 60, 120)
  examples <- adversarial_examples(
    fit, x = iris[rows, ], y = iris$Species[rows], n = 3, steps = 5, restarts = 1, threads = 1
  )
  expect_equal(examples$x, as.matrix(iris[rows, 1:4]), ignore_attr = TRUE, tolerance = 1e-6)
  moved <- abs(examples$x_adv - examples$x)
  expect_true(all(t(moved) <= 0.2 * fit$data$features$scale * (1 + 1e-5)))
  expect_gt(max(moved), 0)
  expect_output(print(examples), "3 rows of 4")
  expect_output(print(examples, n = 1), "2 more rows")
  expect_error(confusion(fit, iris), "Rows need their classes")
  expect_error(ggplot2::autoplot(examples), "no picture")
})

test_that("a network of a table is exported and compared on rows", {
  skip_if_no_sense()
  fit <- flowers()
  file <- tempfile(fileext = ".pt2")
  expect_error(export_sense(fit, file), "trained on a table, which it does not store: give test rows as `x`")
  expect_message(done <- export_sense(fit, file, x = iris), "logits of 100 images")
  expect_lt(done$largest_difference, 1e-3)
})

test_that("each feature can have its own eps and bounds, in its own units", {
  skip_if_no_sense()
  eps <- c(wt = 0.5, hp = 40)
  fit <- train_sense(
    am ~ hp + wt, mtcars, eps = eps, bounds = list(hp = c(0, 400)), epochs = 2, control = quiet
  )
  features <- fit$data$features
  expect_equal(features$names, c("hp", "wt"))
  expect_equal(features$scale * fit$config$eps, c(40, 0.5))
  expect_equal(fit$config$step_size, fit$config$eps / 4)
  expect_equal(features$low, c(0, NA))
  expect_equal(features$high, c(400, NA))
  expect_equal(fit$data$classes, c("0", "1"))
})

test_that("rows with missing values are left out with a message, or refused", {
  skip_if_no_sense()
  expect_message(
    fit <- train_sense(
      Month > 7 ~ Ozone + Wind + Temp, airquality, epochs = 1, class_weights = "balanced", control = quiet
    ),
    "37 of 153 rows with missing values were left out", class = "sense_na_action"
  )
  expect_equal(fit$data$train, 116)
  expect_equal(fit$data$classes, c("FALSE", "TRUE"))
  expect_equal(fit$config$class_weights, "balanced")
  expect_error(
    train_sense(Month > 7 ~ Ozone, airquality, na.action = stats::na.fail, control = quiet), "missing values"
  )
  expect_error(
    train_sense(Month > 7 ~ Ozone, airquality, na.action = stats::na.pass, control = quiet), "Ozone.*is NA in row 5"
  )
})

test_that("a data frame or a matrix of features with classes trains as the formula does", {
  skip_if_no_sense()
  by_formula <- flowers()
  by_columns <- train_sense(iris[1:4], iris$Species, epochs = 8, pretrain = 2, control = quiet)
  by_matrix <- train_sense(
    as.matrix(iris[1:4]), iris$Species, inputs = "features", epochs = 8, pretrain = 2, control = quiet
  )
  expect_identical(by_columns$weights, by_formula$weights)
  expect_identical(by_matrix$weights, by_formula$weights)
})

test_that("test rows may be given, and a data frame of pixels is images", {
  skip_if_no_sense()
  odd <- seq(1, 150, 2)
  fit <- train_sense(Species ~ ., iris[odd, ], test = iris[-odd, ], epochs = 1, control = quiet)
  expect_equal(c(fit$data$train, fit$data$test), c(75, 75))
  expect_length(fit$validation, 0)
  digits <- sample_images(60, "train")
  flat <- t(apply(digits$x, 1, function(image) as.vector(t(image)))) / 255
  arguments <- list(method = "nt", model = "capacity-1", epochs = 1, pretrain = 0, control = quiet)
  array <- do.call(train_sense, c(list(digits$x / 255, digits$y), arguments))
  frame <- do.call(train_sense, c(list(as.data.frame(flat), digits$y, inputs = "pixels"), arguments))
  expect_identical(frame$weights, array$weights)
})

test_that("formulas and columns that have no meaning for an attack are refused", {
  cars <- transform(mtcars, gear = factor(gear))
  expect_error(train_sense(cyl ~ gear + hp, cars), "must be numeric.*gear.*is not")
  expect_error(train_sense(cyl ~ hp * wt, cars), "no column.*hp:wt")
  expect_error(train_sense(cyl ~ log(hp), cars), "no column.*log\\(hp\\)")
  expect_error(train_sense(cyl ~ hp + offset(wt), cars), "offset")
  expect_error(train_sense(~ hp, cars), "classes on the left")
  expect_error(train_sense(mpg ~ hp, cars), "measurements, not classes")
  expect_error(train_sense(cyl ~ hp), "`data` must be a data frame")
  expect_error(train_sense(formula = cyl ~ hp, data = 3), "`data` must be a data frame")
  expect_error(train_sense(iris), "Rows need their classes")
  expect_error(train_sense(iris[1:4], iris$Species[1:5]), "a class for each of the 150 rows, not 5")
  expect_error(train_sense(cyl ~ hp + wt, cars, eps = c(hp = 1, disp = 2)), "`eps` must be one number, or 2 named")
  expect_error(train_sense(cyl ~ hp, cars, bounds = "unit"), "`bounds` must be")
  expect_error(train_sense(cyl ~ hp, cars, test = cars[0, ]), "at least one row|class")
})

test_that("a network learns the Three Clusters", {
  skip_if_no_sense()
  data <- three_clusters(600, p = 0.55, seed = 1)
  fit <- train_sense(y ~ x1 + x2, data, eps = c(x1 = 0.3, x2 = 0.3), epochs = 5, lr = 0.05, control = quiet)
  expect_equal(fit$data$classes, c("-1", "1"))
  fresh <- three_clusters(500, p = 0.55, seed = 2)
  expect_gt(mean(as.character(predict(fit, fresh)) == fresh$y), 0.98)
})

test_that("the positions of the validation rows are those in the data, also if rows were left out", {
  skip_if_no_sense()
  d <- iris
  d[1:30, 1] <- NA
  drop <- function(data) data[stats::complete.cases(data), ]
  fits <- suppressMessages(list(
    train_sense(Species ~ ., d, epochs = 1, pretrain = 0, control = quiet),
    train_sense(d[1:4], d["Species"], epochs = 1, pretrain = 0, control = quiet),
    train_sense(d[1:4], d$Species, epochs = 1, pretrain = 0, na.action = drop, control = quiet)
  ))
  for (fit in fits) {
    expect_length(fit$validation, 20)
    expect_false(anyNA(d[fit$validation, ]))
    expect_equal(as.vector(table(d$Species[fit$validation])), c(3, 9, 8))
  }
  unnamed <- function(data) {
    data <- stats::na.omit(data)
    rownames(data) <- paste0("row", seq_len(nrow(data)))
    data
  }
  expect_error(train_sense(Species ~ ., d, na.action = unnamed, control = quiet), "`na.action`")
})

test_that("features may have any name, but each only once", {
  skip_if_no_sense()
  x <- data.frame(.y = rep(0:1, 75), y = 1:150, iris[1:2])
  fit <- train_sense(x, iris$Species, epochs = 1, pretrain = 0, control = quiet)
  expect_equal(fit$data$classes, levels(iris$Species))
  expect_equal(unlist(fit$data$features$names), names(x))
  twice <- data.frame(a = 1:4, a = 4:1, check.names = FALSE)
  expect_error(train_sense(twice, c("p", "n", "p", "n")), "`x` must have different names: \"a\"")
  expect_error(train_sense(as.matrix(twice), c("p", "n", "p", "n"), inputs = "features"), "different names")
  expect_error(train_sense(k ~ ., cbind(twice, k = c("p", "n"))), "`data` must have different names")
  expect_error(predict(flowers(), cbind(iris, iris[1])), "`newdata` must have different names")
})

test_that("test rows need only the variables of the formula", {
  skip_if_no_sense()
  test <- iris
  test$note <- NA
  fit <- train_sense(Species ~ ., iris, test = test, epochs = 1, pretrain = 0, control = quiet)
  expect_equal(fit$data$test, 150)
  expect_error(train_sense(Species ~ ., iris, test = iris[2:5]), "`test`, which has no column .*Sepal.Length")
  expect_error(train_sense(Species ~ ., iris, test = iris[1:4]), "cannot be computed from `test`.*Species")
  expect_error(train_sense(nope ~ ., iris), "cannot be computed from `data`.*nope")
  expect_error(train_sense(Species ~ Sepal.Width + offset(Sepal.Length), iris), "must be columns of `data`\\.")
  expect_error(train_sense(Species ~ ., iris[0, ]), "`data` must have at least one row")
  expect_error(train_sense(Species ~ ., iris[1:50, ]), "`data` has one class only")
})

test_that("weights of classes go by name", {
  skip_if_no_sense()
  weights <- function(w) {
    fit <- train_sense(am ~ hp, mtcars, class_weights = w, epochs = 1, pretrain = 0, control = quiet)
    unlist(fit$config$class_weights)
  }
  expect_equal(weights(c(`1` = 1, `0` = 2)), c(2, 1))
  expect_equal(weights(c(1, 2)), c(1, 2))
  expect_error(weights(c(zz = 1, `0` = 2)), "`class_weights` must be one number, or 2 named by the classes")
  expect_error(train_sense("mnist", class_weights = c(a = 1, b = 2)), "Leave out the names of `class_weights`")
  expect_error(train_sense(am ~ hp, mtcars, milestones = c(b = 1, a = 2)), "`milestones` must have no names")
})
