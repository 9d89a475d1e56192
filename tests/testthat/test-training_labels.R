test_that("options are shown where the rows of a method differ in them", {
  options <- data.frame(lr = c(0.1, 0.1, 0.2, 0.5), epochs = 5, model = c("a", "b", "a", "a"), norm = c(NA, "2", NA, NA))
  expect_equal(
    sense:::option_labels(c("NT", "NT", "NT", "R-AT"), options),
    c("lr = 0.1, a", "lr = 0.1, b, norm = 2", "lr = 0.2, a", "")
  )
  close <- data.frame(lr = c(0.1, 0.10000001))
  expect_equal(sense:::option_labels(c("NT", "NT"), close), c("lr = 0.1", "lr = 0.10000001"))
  several <- data.frame(seed = 1:2)
  several$milestones <- list(c(0.5, 0.75), NA)
  expect_equal(sense:::option_labels(c("NT", "NT"), several["milestones"]), c("milestones = 0.5, 0.75", ""))
})

seeds_of <- function(lr) {
  vapply(1:2, function(seed) {
    evaluation_folder(list(natural = 1), method = "nt", seed = seed, lr = lr, name = sprintf("nt-%g-%d", lr, seed))
  }, "")
}

test_that("a sweep of several seeds is printed with the options that differ", {
  folders <- c(seeds_of(0.1), seeds_of(0.2))
  cells <- data.frame(
    method = "nt", lr = rep(c(0.1, 0.2), each = 2), seed = rep(1:2, 2), name = basename(folders),
    state = "evaluated", failure = NA, evaluated = folders
  )
  sweep <- structure(list(cells = cells, out = tempdir()), class = "sense_sweep")
  printed <- capture.output(print(sweep))
  expect_match(printed[4], "NT, lr = 0.1 +1 ")
  expect_match(printed[7], "NT, lr = 0.2 +2 ")
  expect_equal(anyDuplicated(printed), 0)
  expect_equal(gsub("\n", " ", autoplot(sweep)$scales$get_scales("y")$labels), c("NT, lr = 0.1", "NT, lr = 0.2"))
})

test_that("trainings whose options are not in the table have the names of their runs", {
  table <- accuracies(c(seeds_of(0.1), seeds_of(0.2)))
  expect_output(print(table), "nt-0.1-1: NT +1 .*nt-0.1-2: NT +2 .*nt-0.2-2: NT +2 ")
  expect_equal(unique(sense:::training_labels(table)), c("nt-0.1-1: NT", "nt-0.2-1: NT"))
  expect_output(print(accuracies(seeds_of(0.1))), "\n  NT +1 +natural")
})
