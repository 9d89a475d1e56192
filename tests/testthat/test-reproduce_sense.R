test_that("without a name all experiments are listed, with the scales that are stored", {
  list <- reproduce_sense(out = reproduction_folder(made_up_rows(data.frame(method = "nt"))))
  expect_named(list, c("name", "place", "title", "scales"))
  expect_equal(list$scales[list$name == "table7"], "cpu")
  expect_equal(list$scales[list$name == "table6"], "")
  expect_equal(list$name[list$scales == "drawn by R"], paste0("fig", 2:6))
  expect_true(all(c("fig7", "fig9", "table3", "mnist", "cifar10", "cifar10-wrn") %in% list$name))
})

test_that("figures 2 to 6 are those of their functions", {
  x <- reproduce_sense("fig2", cells = 20)
  expect_s3_class(x, "sense_reproduction")
  expect_equal(ggplot2::layer_data(autoplot(x), 1), ggplot2::layer_data(figure2(cells = 20), 1))
  expect_output(print(x), "fig2: .*autoplot\\(\\) draws it")
  expect_error(summary(x), "without numbers", class = "sense_argument_error")
  expect_error(as.data.frame(x), "without numbers", class = "sense_argument_error")
  expect_error(reproduce_sense("fig2", foo = 1), "figure2.* has the arguments.*You gave `foo`", class = "sense_argument_error")
  expect_error(reproduce_sense("fig2", cells = 20, cells = 30), "2 arguments that do not match", class = "sense_argument_error")
})

test_that("bad arguments are refused", {
  expect_snapshot(reproduce_sense("table1"), error = TRUE)
  expect_snapshot(reproduce_sense("table7", "large"), error = TRUE)
  expect_snapshot(reproduce_sense("table7", cells = 20), error = TRUE)
  expect_snapshot(reproduce_sense("table7", run = TRUE), error = TRUE)
  expect_snapshot(reproduce_sense("table7", run = TRUE, out = "somewhere", seeds = 0), error = TRUE)
})

test_that("results of names with a hyphen are listed", {
  rows <- made_up_rows(data.frame(method = "nt", model = "wrn-34-10"))
  list <- reproduce_sense(out = reproduction_folder(rows, "cifar10-wrn", "smoke"))
  expect_equal(list$scales[list$name == "cifar10-wrn"], "smoke")
  expect_equal(list$scales[list$name == "cifar10"], "")
})

test_that("arguments that would be ignored are refused", {
  expect_snapshot(reproduce_sense(run = TRUE, scale = "smoke", out = "somewhere"), error = TRUE)
  expect_snapshot(reproduce_sense("table7", seeds = 7), error = TRUE)
  expect_snapshot(reproduce_sense("fig2", "smoke", run = TRUE, out = "somewhere"), error = TRUE)
  refused <- function(...) {
    expect_error(reproduce_sense(...), "must be left out", class = "sense_argument_error")
  }
  for (name in c("seeds", "workers", "threads", "mnist", "cifar10")) {
    value <- stats::setNames(list(if (name %in% c("mnist", "cifar10")) "somewhere" else 2), name)
    do.call(refused, value)
    do.call(refused, c(list("table7", out = "somewhere"), value))
    do.call(refused, c(list("fig2"), value))
  }
  refused(NULL, "cpu", FALSE, 20)
  refused("fig2", scale = "cpu")
})

test_that("run = TRUE trains, attacks and reads the result; again it trains nothing", {
  skip_if_no_sense()
  skip_on_cran()
  out <- tempfile("reproduce-")
  run <- function() reproduce_sense("fig8", "smoke", run = TRUE, out = out, workers = 1, threads = 1, quiet = TRUE)
  x <- run()
  expect_equal(c(x$name, x$scale), c("fig8", "smoke"))
  expect_equal(unique(x$rows$method), "sense")
  expect_equal(x$rows$n, rep(20L, nrow(x$rows)))
  expect_s3_class(autoplot(x), "ggplot")
  expect_s3_class(autoplot(x, "loss"), "ggplot")
  weights <- list.files(file.path(out, "smoke"), "model.safetensors", recursive = TRUE, full.names = TRUE)
  before <- file.mtime(weights)
  again <- run()
  expect_equal(file.mtime(weights), before)
  expect_equal(again$rows, x$rows)
  expect_equal(reproduce_sense("fig8", "smoke", out = out)$rows, x$rows)
})
