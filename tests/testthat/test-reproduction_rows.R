# R-AT with three seeds, SENSE-AT with one.
few_rows <- function(...) {
  made_up_rows(data.frame(
    method = c("r-at", "r-at", "r-at", "sense"), c = c(NA, NA, NA, 0.5), seed = c(1, 2, 3, 1), ...
  ))
}

test_that("seeds and test images are in separate columns", {
  rows <- few_rows()
  rows$k[rows$method == "r-at" & rows$attack == "pgd"] <- c(30, 40, 53)
  table <- sense:::rows_over_seeds(rows)
  expect_equal(nrow(table), 4)
  robust <- table[table$method == "r-at" & table$attack == "pgd", ]
  expect_equal(robust$seeds, 3)
  expect_equal(c(robust$mean, robust$lowest, robust$highest), c(0.41, 0.3, 0.53))
  expect_equal(c(robust$lower, robust$upper), unlist(wilson_interval(41, 100)[c("lower", "upper")], use.names = FALSE))
  expect_equal(robust$lowest_limit, wilson_interval(30, 100)$lower)
  expect_equal(robust$highest_limit, wilson_interval(53, 100)$upper)
  at_half <- sense:::rows_over_seeds(rows, level = 0.5)
  expect_equal(at_half$upper[at_half$method == "r-at" & at_half$attack == "pgd"], wilson_interval(41, 100, 0.5)$upper)
})

test_that("collapsed networks are counted, and left out of the mean unless all have collapsed", {
  table <- function(collapsed) {
    rows <- few_rows(collapsed = c(collapsed, FALSE))
    rows$k[rows$method == "r-at" & rows$attack == "pgd"] <- c(10, 40, 50)
    found <- sense:::rows_over_seeds(rows)
    found[found$method == "r-at" & found$attack == "pgd", ]
  }
  one <- table(c(TRUE, FALSE, FALSE))
  expect_equal(c(one$seeds, one$collapsed), c(3, 1))
  expect_equal(c(one$mean, one$lowest, one$highest), c(0.45, 0.4, 0.5))
  expect_equal(one$lowest_limit, wilson_interval(40, 100)$lower)
  expect_equal(sense:::seeds_in_mean(one), 2)
  every <- table(c(TRUE, TRUE, TRUE))
  expect_equal(c(every$seeds, every$collapsed), c(3, 3))
  expect_equal(every$mean, mean(c(0.1, 0.4, 0.5)))
  expect_equal(sense:::seeds_in_mean(every), 3)
})

test_that("networks are named by what differs between those of a method", {
  label <- function(...) unique(sense:::network_labels(made_up_rows(data.frame(...))))
  expect_equal(label(method = c("r-at", "sense"), c = c(NA, 0.5), lr = c(0.05, 0.02)), c("R-AT", "SENSE-AT (c = 0.5)"))
  expect_equal(
    label(method = "sense", c = 0.5, boundary = c("revert", "bisect"), start = c("natural", "random")),
    c("SENSE-AT (c = 0.5)", "SENSE-AT (c = 0.5, bisect, random start)")
  )
  expect_equal(
    label(method = "nt", model = c("a", "b"), lr = c(0.01, 0.05)), c("NT, a, lr = 0.01", "NT, b, lr = 0.05")
  )
  expect_equal(label(method = "nt", epochs = c(10, 80)), c("NT, 10 epochs", "NT, 80 epochs"))
})

test_that("each network has the paper's number of the same method, c, network and attack", {
  rows <- made_up_rows(data.frame(
    method = c("r-at", "sense", "sense", "sense"), c = c(NA, 0.1, 0.5, 0.5),
    boundary = c(NA, "revert", "revert", "bisect"), model = c("cifar-cnn-1", "cifar-cnn-2", "cifar-cnn-1", "cifar-cnn-2")
  ))
  table <- sense:::beside_paper(sense:::rows_over_seeds(rows), sense:::paper_numbers("table7"))
  natural <- table[table$attack == "natural", ]
  expect_equal(natural$paper, c(NA, 0.615, 0.641, NA)) # a collapse has no number, bisection is not in the paper
  expect_equal(natural$qualifier, c("collapse", NA, NA, NA))
  expect_equal(natural$paper_n, c(1000, 1000, 1000, NA))
  expect_equal(table$paper[table$attack == "pgd"], c(NA, 0.276, 0.069, NA))
})

test_that("a network in place of the paper's, and other steps of the attack, are compared with it", {
  rows <- made_up_rows(data.frame(method = "sense", c = 0.5, model = "wrn-10-1"), c(natural = "natural", pgd = "PGD-10 x 1"))
  table <- sense:::beside_paper(sense:::rows_over_seeds(rows), sense:::paper_numbers("table3"))
  expect_equal(table$paper, c(0.9096, 0.4914))
  expect_equal(table$paper_label, c("natural", "PGD-100 x 5"))
  rows <- made_up_rows(
    data.frame(method = "sense", c = 0.7, model = "small-cnn"), c(pgd = "PGD-100 x 5", pgd = "PGD-500 x 20")
  )
  table <- sense:::beside_paper(sense:::rows_over_seeds(rows), sense:::paper_numbers("mnist"))
  expect_equal(table$paper, c(NA, 0.9174)) # the same steps are in the table
})

test_that("a transfer attack is compared by its source, and on itself with PGD", {
  rows <- made_up_rows(data.frame(method = "mart", source = c("trades", NA)), c(transfer = "transfer PGD-40 x 10"))
  rows$attack[is.na(rows$source)] <- "pgd"
  rows$attack_label[is.na(rows$source)] <- "PGD-40 x 10"
  table <- sense:::beside_paper(sense:::rows_over_seeds(rows), sense:::paper_numbers("table4"))
  expect_equal(table$paper, c(0.6343, 0.5573))
})

test_that("a number agrees if it is within the intervals of all seeds", {
  agrees <- function(paper, ..., qualifier = NA, n = NA, collapsed = 0) {
    sense:::paper_agrees(data.frame(
      paper = paper, qualifier = qualifier, paper_n = n, lowest_limit = 0.4, highest_limit = 0.5, seeds = 2, collapsed = collapsed
    ))
  }
  expect_equal(agrees(c(0.39, 0.4, 0.5, 0.51, NA)), c("no", "yes", "yes", "no", NA))
  expect_equal(agrees(0.51, n = 1000), "yes") # its own interval reaches below 0.5
  expect_equal(agrees(0.6, n = 1000), "no")
  expect_equal(agrees(c(0.504, 0.506), qualifier = "about"), c("yes", "no"))
  expect_equal(agrees(c(0.3, 0.6), qualifier = "more than"), c("yes", "no"))
  expect_equal(agrees(NA, qualifier = "collapse", collapsed = c(0, 1, 2)), c("no", "for some seeds", "yes"))
})
