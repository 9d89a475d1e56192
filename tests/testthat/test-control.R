test_that("only options that were set are stored and printed", {
  expect_length(sense_control()$options, 0)
  expect_output(print(sense_control()), "all by default")
  shown <- capture.output(print(sense_control(threads = 2, seed = 7, quiet = TRUE)))
  expect_equal(shown, c("<sense_control>", "  threads: 2", "  seed: 7", "  quiet: TRUE"))
})

test_that("whole numbers become integers, which Python reads as such", {
  expect_identical(sense_control(threads = 2)$options$threads, 2L)
})

test_that("invalid settings are refused by the name of the argument", {
  expect_error(sense_control(threads = 0), "threads.*at least 1.*0")
  expect_error(sense_control(seed = 1.5), "seed.*whole number")
  expect_error(sense_control(monitor_size = "all"), "monitor_size.*whole number")
  expect_error(sense_control(quiet = NA), "TRUE or FALSE")
  expect_error(sense_control(out = c("a", "b")), "out.*single string")
  expect_error(sense_control(out = "a", resume = "b"), "not both")
})
