read_made_up <- function(networks, name, attacks = c(natural = "natural", pgd = "PGD-100 x 5"), ...) {
  reproduce_sense(name, out = reproduction_folder(made_up_rows(networks, attacks), name, ...))
}

layers_of <- function(plot) vapply(plot$layers, function(layer) class(layer$geom)[1], "")

test_that("accuracies are drawn with intervals, seeds and the paper's numbers", {
  x <- read_made_up(
    data.frame(method = c("r-at", "r-at", "sense"), c = c(NA, NA, 0.5), seed = c(1, 2, 1), collapsed = c(TRUE, FALSE, FALSE)),
    "table7"
  )
  plot <- autoplot(x)
  rows <- summary(x)$rows
  expect_equal(sort(layer_data_of(plot, 1)$xmin), sort(rows$lower))
  seeds <- layer_data_of(plot, 2)
  expect_equal(nrow(seeds), 6)
  expect_equal(sort(seeds$shape), c(4, 4, 16, 16, 16, 16))
  paper <- layer_data_of(plot, 3)
  expect_equal(sort(paper$x), sort(rows$paper[!is.na(rows$paper)]))
  expect_match(gsub("\n", " ", plot$labels$caption), "95 % Wilson.*n = 100 test.*Diamonds")
})

test_that("networks that differ in more than the method have panels of their own", {
  x <- read_made_up(expand.grid(method = c("r-at", "nt"), model = c("cifar-cnn-1", "cifar-cnn-2"), stringsAsFactors = FALSE), "table7")
  expect_s3_class(autoplot(x)$facet, "FacetGrid")
})

test_that("accuracy by c has a line for each rule, and horizontal lines for R-AT and NT", {
  networks <- rbind(
    expand.grid(method = "sense", c = c(0, 0.5, 0.9), boundary = c("revert", "bisect"), model = c("capacity-1", "capacity-4"), stringsAsFactors = FALSE),
    data.frame(method = c("r-at", "nt"), c = NA, boundary = NA, model = "capacity-1")
  )
  x <- read_made_up(networks, "fig7")
  plot <- autoplot(x)
  expect_equal(layers_of(plot)[1:3], c("GeomHline", "GeomLinerange", "GeomLine"))
  expect_equal(nrow(layer_data_of(plot, 1)), 4)
  expect_equal(sort(unique(layer_data_of(plot, 3)$x)), c(0, 0.5, 0.9))
  expect_equal(layer_data_of(plot, 5)$y, 0.95) # the paper's number for NT with capacity 1
  expect_equal(plot$labels$x, "c")
})

test_that("accuracy by epochs has the share of stage C", {
  networks <- data.frame(method = rep(c("r-at", "sense", "mart"), c(2, 2, 1)), c = c(NA, NA, 0.5, 0.5, NA), epochs = c(10, 80, 10, 80, 10))
  networks$stage_c <- c(NA, NA, 0.1, 0.6, NA)
  plot <- autoplot(read_made_up(networks, "cifar10"), "epochs")
  expect_equal(levels(plot$data$attack_label), c("natural", "PGD-100 x 5", "training images in stage C"))
  expect_equal(plot$data$mean[plot$data$attack_label == "training images in stage C"], c(0.1, 0.6))
  expect_equal(unique(plot$data$series), c("R-AT", "SENSE-AT (c = 0.5)")) # MART has one number only
})

test_that("collapsed networks are crosses in the plot by epochs, beside its lines", {
  networks <- data.frame(method = "r-at", epochs = c(10, 80, 80), seed = c(1, 1, 2), collapsed = c(FALSE, FALSE, TRUE))
  plot <- autoplot(read_made_up(networks, "cifar10"), "epochs")
  expect_equal(nrow(layer_data_of(plot, 3)), 4) # the points
  crosses <- layer_data_of(plot, 4)
  expect_equal(unique(crosses$shape), 4)
  expect_equal(nrow(crosses), 2)
  expect_match(plot$labels$caption, "leave out collapsed networks. Crosses: collapsed networks", fixed = TRUE)
  expect_equal(plot$data$mean[plot$data$epochs == 80 & plot$data$attack_label == "natural"], 0.81)
})

test_that("PGD is drawn beside AutoAttack", {
  x <- read_made_up(data.frame(method = c("r-at", "nt")), "cifar10", c(natural = "natural", pgd = "PGD-10 x 1", autoattack = "AutoAttack"))
  points <- layer_data_of(autoplot(x, "attacks"), 2)
  expect_equal(nrow(points), 4)
  expect_equal(unique(points$x), 0.41)
})

test_that("the matrix of transfer attacks has the paper's beside it", {
  networks <- data.frame(method = c("mart", "trades"), source = c("trades", "mart"))
  rows <- rbind(
    made_up_rows(networks, c(transfer = "transfer PGD-40 x 10")), made_up_rows(networks[1], c(pgd = "PGD-40 x 10"))
  )
  plot <- autoplot(reproduce_sense("table4", out = reproduction_folder(rows, "table4")))
  expect_equal(nrow(plot$data), 8)
  expect_equal(sum(plot$data$method == plot$data$source & plot$data$of == "this package"), 2)
  expect_equal(sort(plot$data$accuracy[plot$data$of == "paper"]), c(0.5482, 0.5573, 0.6343, 0.6605))
})

test_that("the diagonal of the matrix has the network of the transfer attacks and, if possible, their steps", {
  one <- data.frame(method = "mart", epochs = 20)
  rows <- rbind(
    made_up_rows(cbind(one, source = "trades"), c(transfer = "transfer PGD-40 x 10")),
    made_up_rows(one, c(pgd = "PGD-100 x 5", pgd = "PGD-40 x 10")), made_up_rows(data.frame(method = "mart", epochs = 80), c(pgd = "PGD-40 x 10"))
  )
  rows$k <- c(60, 50, 51, 52)
  result <- reproduce_sense("cifar10", out = reproduction_folder(rows, "cifar10"))
  expect_equal(autoplot(result, "transfer")$data$accuracy, c(0.6, 0.51))
  expect_setequal(as.character(autoplot(result, "accuracy")$data$attack_label), "PGD-100 x 5")
})

test_that("the convergence of each seed has a panel", {
  draw <- function(seeds, type) {
    folder <- reproduction_folder(made_up_rows(data.frame(method = "sense", c = 0.7, seed = seeds)), "fig8")
    loss <- expand.grid(step = 0:2, image = 1:4, seed = seeds)
    loss$loss <- loss$step * loss$seed
    worst <- expand.grid(step = 0:2, restart = 1:2, seed = seeds)
    worst <- transform(worst, k = 40 - step * seed, n = 40)
    utils::write.csv(loss, file.path(folder, "fig8-cpu-loss.csv"), row.names = FALSE)
    utils::write.csv(worst, file.path(folder, "fig8-cpu-accuracy.csv"), row.names = FALSE)
    autoplot(reproduce_sense("fig8", out = folder), type)
  }
  for (type in c("loss", "worst-case")) {
    expect_s3_class(draw(1, type)$facet, "FacetNull")
    expect_equal(nlevels(layer_data_of(draw(1:2, type), 1)$PANEL), 2)
  }
  medians <- layer_data_of(draw(1:2, "loss"), 2)
  expect_equal(medians$y[medians$PANEL == 2], c(0, 2, 4))
})

test_that("a picture without its data is refused", {
  x <- read_made_up(data.frame(method = "nt"), "table7")
  for (type in c("c", "epochs", "attacks", "transfer", "loss", "worst-case")) {
    expect_error(autoplot(x, type), type, class = "sense_argument_error")
  }
  expect_error(autoplot(x, "nonsense"), "one of", class = "sense_argument_error")
})
