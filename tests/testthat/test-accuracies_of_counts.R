test_that("a data frame of counts gives the same table", {
  table <- accuracies(fake_seeds())
  expect_s3_class(table, "sense_accuracies")
  expect_equal(unique(table$method), c("R-AT", "SENSE-AT"))
  expect_equal(unique(table$attack), c("natural", "worst attack per image"))
  expect_equal(table$lower, wilson_interval(table$k, 40)$lower)
  expect_equal(unique(as.character(table$run[table$seed == 2])), c("R-AT, seed 2", "SENSE-AT, seed 2"))
  expect_output(print(table), "SENSE-AT +3 +natural")
  expect_error(accuracies(data.frame(method = "nt", k = 1)), "columns.*attack")
})


counts_of <- function(...) data.frame(..., attack = "natural", k = 5, n = 10)

test_that("without seeds each row is named by its own method", {
  table <- accuracies(counts_of(method = c("nt", "r-at", "sense")))
  expect_equal(as.character(table$run), c("NT", "R-AT", "SENSE-AT"))
  table <- accuracies(counts_of(method = c("nt", "nt", "r-at"), seed = c(1, NA, 2)))
  expect_equal(as.character(table$run), c("NT, seed 1", "NT", "R-AT, seed 2"))
  expect_output(print(accuracies(counts_of(method = c("nt", "r-at"), seed = 1))), "NT, seed 1 +natural")
})

test_that("rows that differ in an option are different trainings, with means of their own", {
  two <- function(...) {
    data.frame(..., seed = rep(1:2, 2), attack = "pgd", k = c(1, 2, 9, 10), n = 10)
  }
  c <- accuracies(two(method = "sense", c = rep(c(0.3, 0.7), each = 2)))
  expect_equal(c$training, c(1, 1, 2, 2))
  expect_equal(c$method, rep(c("SENSE-AT (c = 0.3)", "SENSE-AT (c = 0.7)"), each = 2))
  lr <- accuracies(two(method = "nt", lr = rep(c(0.1, 0.2), each = 2)))
  expect_equal(lr$training, c(1, 1, 2, 2))
  expect_equal(lr$lr, rep(c(0.1, 0.2), each = 2))
  expect_equal(as.character(lr$run[1:2]), c("NT, lr = 0.1, seed 1", "NT, lr = 0.1, seed 2"))
  expect_equal(layer_data_of(autoplot(lr), 5)$label, c("15.0 %", "95.0 %"))
  expect_output(print(lr), "NT, lr = 0.1 +1 .*NT, lr = 0.2 +1 ")
  own <- accuracies(two(method = "nt", my_option = rep(c("a", "b"), each = 2)))
  expect_equal(own$training, c(1, 1, 2, 2))
  expect_equal(accuracies(as.data.frame(lr))$training, lr$training)
})

# As `python -m sense.sweep --table` writes it: methods without c, and the radius of each attack.
sweep_table <- function() {
  table <- expand.grid(
    attack = c("natural", "pgd", "worst"), seed = 1:2, method = c("nt", "sense"), stringsAsFactors = FALSE
  )
  table$c <- ifelse(table$method == "sense", 0.7, NA)
  table$cell <- sprintf("mnist_%s_seed-%d", table$method, table$seed)
  table$evaluation <- NA
  table$attack_label <- c("natural", "PGD-10 x 2", "all attacks together")
  table$eps <- c(NA, 0.3, NA)
  transform(table, k = 5, n = 10, accuracy = 0.5, lower = 0.2, upper = 0.8)
}

test_that("the table of sense.sweep is read: seeds together, attacks by their labels", {
  table <- accuracies(sweep_table())
  expect_equal(table$training, rep(1:2, each = 6))
  expect_equal(table$attack[1:3], c("natural", "PGD-10 x 2", "worst attack per image"))
  expect_equal(as.character(table$run[c(1, 12)]), c("mnist_nt_seed-1", "mnist_sense_seed-2"))
  expect_equal(table$method[12], "SENSE-AT (c = 0.7)")
  # Cells that differ in an option without a column, such as the radius of training.
  counts <- sweep_table()
  counts$cell <- sub("nt_", "nt_eps-0.1_", counts$cell)
  counts <- rbind(sweep_table(), counts[counts$method == "nt", ])
  expect_equal(accuracies(counts)$training, rep(1:3, each = 6))
})

test_that("a radius that natural images have too is an option of training", {
  counts <- data.frame(
    method = "r-at", eps = rep(c(0.1, 0.3), each = 2), seed = 1, attack = c("natural", "pgd"), k = 5, n = 10
  )
  expect_equal(accuracies(counts)$training, c(1, 1, 2, 2))
})

test_that("transfer attacks are named with their source", {
  counts <- data.frame(
    method = "nt", attack = c("pgd", "transfer", "transfer"), source = c("nt", "trades", "mart"),
    attack_label = c("PGD-10", "transfer PGD-10", "transfer PGD-10"), k = 5, n = 10
  )
  expect_equal(
    accuracies(counts)$attack, c("PGD-10", "transfer PGD-10 from TRADES", "transfer PGD-10 from MART")
  )
})

test_that("two rows of one network under one attack are refused", {
  expect_error(
    accuracies(counts_of(method = c("nt", "r-at", "nt"))), "Rows 1 and 3 are both of \"NT\" under \"natural\".*seed",
    class = "sense_argument_error"
  )
  expect_error(
    accuracies(counts_of(method = c("nt", "nt"), cell = "a", evaluation = c("", "evaluation-2"))),
    "choose the rows of one evaluation", class = "sense_argument_error"
  )
})

test_that("runs of one name with different options have different names", {
  table <- accuracies(counts_of(run = "mine", method = "nt", lr = c(0.1, 0.2)))
  expect_equal(as.character(table$run), c("mine, lr = 0.1", "mine, lr = 0.2"))
})

test_that("columns that are no vectors, or have no name or value, are refused", {
  refused <- function(counts, message) {
    expect_error(accuracies(counts), message, class = "sense_argument_error")
  }
  for (name in c("seed", "run", "method", "attack", "k", "lr")) {
    counts <- counts_of(method = c("nt", "r-at"), seed = 1, run = c("a", "b"), lr = 1)
    counts[[name]] <- list(1, 2)
    refused(counts, paste0("`", name, "` must be a column of numbers or strings"))
  }
  refused(counts_of(method = c("nt", NA)), "method of row 2 is missing")
  refused(stats::setNames(counts_of(method = "nt", x = 1), c("method", NA, "attack", "k", "n")), "name of its own")
  refused(cbind(counts_of(method = "nt"), k = 1), "name of its own")
  refused(counts_of(method = "nt")[0, ], "without rows")
  refused(data.frame(), "a data frame without columns")
})
