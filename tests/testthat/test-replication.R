# The replication script: its part of seconds, in a process of its own.

run_replication <- function(...) {
  script <- system.file("studies", "replication.R", package = "sense", mustWork = TRUE)
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), shQuote(c(script, ...)), stdout = TRUE, stderr = TRUE
  ))
}

test_that("the replication script writes every stored table and picture that needs no Python", {
  skip_on_cran()
  folder <- withr::local_tempdir()
  output <- run_replication("seconds", folder)
  expect_null(attr(output, "status"))
  written <- list.files(folder)
  expect_setequal(written, c(sub(" .*", "", output), "session.txt"))
  expect_true(all(file.size(file.path(folder, written)) > 0))
  expect_true(all(c(sprintf("figure%d.png", 2:6), "mnist-demo-accuracies.png") %in% written))

  errata <- utils::read.csv(file.path(folder, "errata.csv"))
  expect_true(all(errata$holds))
  study <- utils::read.csv(file.path(folder, "three-clusters.csv"))
  expect_equal(study, stored_study(), ignore_attr = TRUE)

  # The same accuracies as the stored outcomes, counted another way.
  demo <- utils::read.csv(file.path(folder, "mnist-demo.csv"))
  for (method in c("nt", "r-at", "sense")) {
    outcomes <- system.file("extdata", "mnist-demo", method, package = "sense")
    rows <- utils::read.csv(list.files(outcomes, "^outcomes", full.names = TRUE))
    found <- tapply(rows$correct, rows$attack, sum)
    own <- demo[demo$run == method, ]
    expect_equal(own$k[own$attack == "natural"], found[["natural"]])
    expect_equal(own$k[own$attack == "AutoAttack"], found[["autoattack"]])
  }
})

test_that("the replication script refuses another run time", {
  skip_on_cran()
  output <- run_replication("days")
  expect_identical(attr(output, "status"), 1L)
  expect_match(output, "must be one of seconds, minutes, hours, got days", all = FALSE)
})
