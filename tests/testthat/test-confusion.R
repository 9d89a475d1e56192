run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
evaluation <- read_sense_evaluation(run)

test_that("the cells are the counts of the outcomes", {
  found <- confusion(evaluation, "pgd")
  outcomes <- evaluation$outcomes[evaluation$outcomes$attack == "pgd", ]
  expect_equal(sum(found$table), 2000)
  expect_equal(found$table["8", "3"], sum(outcomes$label == 8 & outcomes$prediction == 3))
  expect_equal(sum(diag(found$table)), sum(outcomes$correct))
  expect_match(found$title, "under PGD-100 x 5$")
  expect_match(confusion(evaluation)$title, "without attack$")
  cells <- as.data.frame(found)
  expect_named(cells, c("truth", "prediction", "n"))
  expect_equal(sum(cells$n), 2000)
})

test_that("classes without names are numbers, and classes that do not occur are kept", {
  toy <- read_sense_evaluation(evaluation_folder(list(natural = c(1, 0), pgd = c(0, 0)), label = 1L))
  expect_equal(dim(confusion(toy)$table), c(3, 3))
  expect_equal(confusion(toy, "pgd")$table["1", "2"], 2)
})

test_that("a fit is tabulated on given images", {
  skip_if_no_sense()
  images <- sample_images(50)
  found <- confusion(read_sense_fit(run), images$x, images$y)
  expect_equal(as.vector(rowSums(found$table)), as.vector(table(images$y)))
  expect_error(confusion(read_sense_fit(run), images$x), "`y`")
})

test_that("the picture has a tile for each cell, with the share of its row", {
  found <- confusion(evaluation)
  drawn <- layer_data_of(autoplot(found), 2)
  expect_equal(nrow(drawn), 100)
  tile <- ggplot2::ggplot_build(autoplot(found))$plot$data
  row <- tile$truth == "2" & tile$prediction == "2"
  expect_equal(tile$share[row], found$table["2", "2"] / sum(found$table["2", ]))
})

test_that("many classes print their most frequent errors", {
  classes <- function(codes) factor(codes, 0:19, sprintf("class %d", 0:19))
  found <- sense:::new_confusion(classes(c(0:19, 3, 3)), classes(c(0:19, 4, 4)), "toy")
  expect_output(print(found), "20 classes.*class 3 +class 4 +2")
  expect_output(print(confusion(evaluation)), "<sense_confusion> SENSE-AT.*97.0 %")
})

test_that("an attack that was not run and other objects are refused", {
  expect_error(confusion(evaluation, "fgsm"), "`attack` must be one of")
  expect_error(confusion(1), "`object`")
})
