made_up <- function() {
  rows <- made_up_rows(
    data.frame(
      method = c("r-at", "r-at", "r-at", "sense", "nt"), c = c(NA, NA, NA, 0.5, NA), seed = c(1, 2, 3, 1, 1),
      collapsed = c(TRUE, FALSE, FALSE, FALSE, FALSE)
    ),
    c(natural = "natural", pgd = "PGD-100 x 1"), n = 1000
  )
  reproduce_sense("table7", out = reproduction_folder(rows, missing = list("a-network")))
}

test_that("print and summary show the rows beside the paper, claims and what was shortened", {
  expect_snapshot({
    made_up()
    summary(made_up())
    summary(made_up(), level = 0.9)$rows[1, c("network", "seeds", "mean", "lower", "upper", "paper", "agrees")]
  })
})

test_that("without numbers of the paper there is no column for them", {
  rows <- made_up_rows(data.frame(method = "trades"))
  x <- reproduce_sense("cifar10", out = reproduction_folder(rows, "cifar10", place = "not in the paper", claims = list()))
  expect_false(any(grepl("agrees|paper", capture.output(print(summary(x)))[1:6])))
  expect_output(print(x), "Claims: none")
})

test_that("times are in words", {
  expect_equal(vapply(c(35, 720, 12240), sense:::time_words, ""), c("35 s", "12 min", "3.4 h"))
  expect_equal(sense:::time_words(NULL), "an unknown time")
})
