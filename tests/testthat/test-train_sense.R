test_that("the shell and R train the same network, bit for bit", {
  skip_if_no_sense()
  shell <- tempfile("shell-")
  done <- system2(
    reticulate::py_config()$python,
    c(
      "-m", "sense.train", "--model", "capacity-1", "--epochs", "1", "--lr", "0.05",
      "--threads", "1", "--monitor-size", "32", "--out", shell
    ),
    stdout = TRUE, stderr = TRUE,
    env = paste0("PYTHONPATH=", shQuote(sense:::python_source()))
  )
  expect_match(done, "^epoch +2/2", all = FALSE)
  theirs <- read_sense_fit(shell)
  ours <- short_fit()
  expect_identical(ours$weights, theirs$weights)
  expect_identical(ours$config, theirs$config)
  times <- c("seconds", "images_per_second")
  expect_equal(
    ours$metrics[setdiff(names(ours$metrics), times)],
    theirs$metrics[setdiff(names(theirs$metrics), times)]
  )
})

test_that("a network learns digits from arrays and a factor", {
  skip_if_no_sense()
  digits <- sample_images(3000, "train")
  letters10 <- factor(letters[as.integer(digits$y)], levels = letters[10:1])
  fit <- train_sense(
    x = digits$x, y = letters10, method = "nt", model = "capacity-2", epochs = 3, lr = 0.1,
    control = sense_control(threads = 1, quiet = TRUE)
  )
  expect_equal(fit$data$train, 3000)
  expect_equal(fit$data$test, 0)
  expect_length(fit$validation, 500)
  expect_equal(utils::tail(fit$metrics$monitored, 1), 500)
  expect_output(print(fit), "on 500 validation images")
  fresh <- sample_images(300)
  predicted <- predict(fit, fresh$x)
  expect_equal(levels(predicted), letters[10:1])
  # Ten classes: guessing is correct for 10 %, and mixed-up labels or axes give little more.
  expect_gt(mean(as.character(predicted) == letters[as.integer(fresh$y)]), 0.7)

  flat <- t(apply(fresh$x, 1, function(image) as.vector(t(image)))) / 255
  expect_equal(
    predict(fit, flat, type = "prob"), predict(fit, fresh$x, type = "prob"),
    tolerance = 1e-5
  )
})

test_that("the validation images of sorted data have every class and estimate the accuracy", {
  skip_if_no_sense()
  digits <- sample_images(2000, "train")
  order <- order(digits$y)
  x <- digits$x[order, , ]
  y <- digits$y[order]
  fit <- train_sense(
    x = x, y = factor(y), method = "nt", model = "capacity-1", epochs = 3, lr = 0.05,
    control = sense_control(threads = 1, quiet = TRUE, seed = 3)
  )
  held <- table(y[fit$validation])
  expect_length(held, 10)
  expect_true(all(abs(held - table(y) / 6) < 1))
  last <- utils::tail(fit$metrics, 1)
  fresh <- sample_images(600)
  true <- mean(as.character(predict(fit, fresh$x)) == as.character(fresh$y))
  expect_lt(abs(last$natural_correct / last$monitored - true), 0.12)
  expect_error(
    train_sense(
      x = x[1:3, , ], y = c("a", "b", "c"), model = "capacity-1",
      control = sense_control(threads = 1, quiet = TRUE)
    ),
    "validation_size must be at most 0 of these 3.*hold out fewer"
  )
})

test_that("keep = \"best\" keeps the weights of the best epoch", {
  skip_if_no_sense()
  digits <- sample_images(600, "train")
  fit <- train_sense(
    x = digits$x, y = digits$y, method = "nt", model = "capacity-1", epochs = 4, lr = 0.2,
    keep = "best", validation_size = 100, control = sense_control(threads = 1, quiet = TRUE)
  )
  expect_length(fit$validation, 100)
  correct <- fit$metrics$natural_correct[fit$metrics$phase == "train"]
  kept <- utils::tail(fit$metrics$kept_epoch, 1)
  expect_equal(fit$metrics$natural_correct[kept], max(correct))
  held <- digits$x[fit$validation, , ]
  predicted <- as.character(predict(fit, held))
  expect_equal(sum(predicted == as.character(digits$y[fit$validation])), max(correct))
})

# Images of random pixels in CIFAR10's binary format.
fake_cifar10 <- function(n = 12) {
  folder <- tempfile("cifar-")
  dir.create(folder)
  for (name in c("data_batch_1.bin", "test_batch.bin")) {
    records <- rbind(seq_len(n) %% 10, matrix(sample(0:255, n * 3072, TRUE), 3072))
    writeBin(as.raw(records), file.path(folder, name))
  }
  folder
}

test_that("every method trains on cifar10, one with a residual network", {
  skip_if_no_sense()
  data_dir <- fake_cifar10()
  control <- sense_control(threads = 1, monitor_size = 4, quiet = TRUE)
  for (method in c("mart", "mma", "iaat", "sense-trades", "fgsm-rs", "n-fgsm")) {
    fit <- train_sense(
      "cifar10", method, "cifar-cnn-1", data_dir = data_dir, epochs = 1, pretrain = 0, steps = 2,
      eps = 8 / 255, warmup = 0, control = control
    )
    expect_equal(fit$config$method, method)
    expect_true(is.finite(fit$metrics$loss))
  }
  fit <- train_sense(
    data = "cifar10", method = "trades", model = "resnet20", data_dir = data_dir,
    recipe = "cifar10-resnet", epochs = 1, steps = 2, milestones = 1, control = control
  )
  expect_equal(fit$data$shape, c(3, 32, 32))
  expect_output(print(fit), "TRADES, beta = 6.*resnet20 on cifar10")
  expect_equal(dim(predict(fit, array(0, c(2, 32, 32, 3)), type = "prob")), c(2, 10))
})

test_that("a collapse is a warning with a class, and a note of the evaluation", {
  skip_if_no_sense()
  # A learning rate that is far too high: the network predicts one class.
  control <- sense_control(threads = 1, quiet = TRUE)
  warned <- NULL
  fit <- withCallingHandlers(
    train_sense(
      model = "capacity-1", method = "nt", train_size = 1000, pretrain = 0, epochs = 3, batch_size = 10,
      lr = 1, momentum = 0.9, schedule = "constant", control = control
    ),
    sense_collapse = function(w) {
      warned <<- conditionMessage(w)
      tryInvokeRestart("muffleWarning")
    }
  )
  expect_match(warned, "collapsed network .epoch 3.: the network predicts one class.*`lr`")
  expect_equal(fit$metrics$collapse[3], "one-class")
  fit$folder <- tempfile() # evaluated from the fit alone
  evaluation <- evaluate_sense(fit, "fgsm", n = 40, diagnostics = FALSE, quiet = TRUE)
  expect_match(evaluation$target$training_note, "predicts one class")
  expect_output(print(evaluation), "Note on the training: the weights")
})

test_that("a training whose time is over is a warning with a class", {
  skip_if_no_sense()
  # As if the machine had become much slower than when the epochs were planned.
  budget <- reticulate::import("sense.trial_steps", convert = FALSE)
  measured <- budget$measured_times
  times <- reticulate::import("sense.time_budget", convert = FALSE)$EpochTimes(1e-6, 1e-5, 0)
  budget$measured_times <- reticulate::py_func(function(config, batches, take_steps, monitor) times)
  on.exit(budget$measured_times <- measured)
  short <- function() {
    train_sense(
      model = "capacity-1", method = "nt", train_size = 100, pretrain = 0, minutes = 0.02,
      control = sense_control(threads = 1, quiet = TRUE)
    )
  }
  over <- "time is over after [0-9]+ of [0-9]+ epochs.*sense_control.resume"
  expect_warning(fit <- short(), over, class = "sense_unfinished")
  expect_s3_class(fit, "sense_fit")
  expect_lt(nrow(fit$metrics), fit$config$epochs)
})

test_that("a network can come from a module of the user", {
  skip_if_no_sense()
  folder <- tempfile("own-")
  dir.create(folder)
  writeLines(
    c(
      "from torch import nn",
      "def make(shape, classes):",
      "    return nn.Sequential(nn.Flatten(), nn.Linear(784, classes))"
    ),
    file.path(folder, "own_network.py")
  )
  before <- setwd(folder)
  on.exit(setwd(before))
  fit <- train_sense(
    method = "nt", model = "own_network:make", epochs = 1, pretrain = 0, train_size = 500,
    control = sense_control(threads = 1, monitor_size = 16, quiet = TRUE)
  )
  expect_equal(fit$config$model, "own_network:make")
  images <- array(0, c(2, 28, 28))
  # Its code runs only if the user names it again.
  expect_error(predict(fit, images), "name it yourself: model = \"own_network:make\"$")
  expect_error(evaluate_sense(fit, "fgsm", n = 5, threads = 1, quiet = TRUE), "model = ")
  expect_error(adversarial_examples(fit, n = 2), "model = ")
  expect_equal(dim(predict(fit, images, type = "prob", model = "own_network:make")), c(2, 10))
  evaluation <- evaluate_sense(
    fit, "fgsm", n = 5, threads = 1, diagnostics = FALSE, quiet = TRUE, model = "own_network:make"
  )
  expect_equal(evaluation$data$n, 5)
  examples <- adversarial_examples(fit, n = 2, steps = 1, restarts = 1, model = "own_network:make")
  expect_equal(nrow(examples$table), 2)
  expect_error(train_sense(control = sense_control(resume = fit$folder)), "model = ")
})

test_that("boundary rules are options, radii may be fractions, and the gap of stage B is reported", {
  skip_if_no_sense()
  fit <- train_short(boundary = "bisect", c = 0.11, eps = "76.5/255")
  expect_equal(fit$config$boundary, "bisect")
  expect_equal(fit$config$eps, 0.3)
  expect_true("stage_b_gap" %in% names(fit$metrics))
})

test_that("progress is shown, one line per epoch", {
  skip_if_no_sense()
  shown <- character()
  withCallingHandlers(
    train_sense(
      method = "nt", model = "capacity-1", epochs = 1, pretrain = 0,
      control = sense_control(threads = 1, monitor_size = 16)
    ),
    message = function(m) {
      shown <<- c(shown, conditionMessage(m))
      invokeRestart("muffleMessage")
    }
  )
  expect_match(shown, "^epoch +1/1 .*natural .*robust .*n = 16")
})

test_that("an interrupt leaves a run that can be resumed to the same end", {
  skip_if_no_sense()
  skip_on_os("windows")
  folder <- tempfile("stopped-")
  code <- sprintf(
    "%s\ntryCatch(%s, sense_stopped = function(e) cat('stopped\\n'))",
    "library(sense)",
    sprintf(
      "train_sense(model = 'capacity-1', epochs = 2, lr = 0.05, control = sense_control(out = '%s', threads = 1, monitor_size = 32))",
      folder
    )
  )
  process <- background_r(code)
  wait_until(length(process$output()) > 0, 60) # the first epoch is done
  tools::pskill(process$pid, tools::SIGINT)
  wait_until("stopped" %in% process$output(), 30)
  expect_true("stopped" %in% process$output())
  resumed <- train_sense(control = sense_control(resume = folder, quiet = TRUE))
  whole <- train_sense(
    model = "capacity-1", epochs = 2, lr = 0.05,
    control = sense_control(threads = 1, monitor_size = 32, quiet = TRUE)
  )
  expect_identical(resumed$weights, whole$weights)
})

test_that("an interrupt stops a step that takes long, and an attack, within seconds", {
  skip_if_no_sense()
  skip_on_os("windows")
  folder <- tempfile("slow-")
  fit <- short_fit()
  saved <- tempfile(fileext = ".rds")
  saveRDS(fit, saved)
  calls <- c(
    sprintf("train_sense(method = 'r-at', model = 'capacity-1', pretrain = 0, batch_size = 5000, steps = 100000, control = sense_control(out = '%s', threads = 1))", folder),
    sprintf("evaluate_sense(readRDS('%s'), 'pgd', steps = 1000000, diagnostics = FALSE, threads = 1, out = tempfile())", saved)
  )
  for (call in calls) {
    process <- background_r(c(
      "library(sense)", "stopifnot(sense_available())",
      "cat('begun\\n')",
      sprintf("tryCatch(%s, sense_stopped = function(e) cat('stopped\\n'))", call)
    ))
    wait_until(any(grepl("begun", process$output())), 60)
    Sys.sleep(15) # the step, or the batch, is in progress
    expect_false("stopped" %in% process$output())
    sent <- Sys.time()
    tools::pskill(process$pid, tools::SIGINT)
    wait_until("stopped" %in% process$output(), 20)
    expect_lt(as.numeric(difftime(Sys.time(), sent, units = "secs")), 5)
  }
})

test_that("a time limit sets the number of epochs", {
  skip_if_no_sense()
  # On a machine that becomes slower the time is over before the last epoch.
  fit <- withCallingHandlers(
    train_sense(
      method = "nt", model = "capacity-1", pretrain = 0, train_size = 100, minutes = 0.2,
      control = sense_control(threads = 1, monitor_size = 16, quiet = TRUE)
    ),
    sense_unfinished = function(warning) tryInvokeRestart("muffleWarning")
  )
  expect_equal(fit$config$minutes, 0.2)
  expect_gt(fit$config$epochs, 1)
  expect_lte(nrow(fit$metrics), fit$config$epochs)
  expect_error(train_sense(minutes = 0), "minutes must be more than 0")
})

test_that("invalid options are refused with R's name", {
  skip_if_no_sense()
  expect_error(train_sense(eps = 8), "eps must be at most 1.*8/255", class = "sense_python_error")
  expect_error(train_sense(c = 2), "c must be a probability")
  expect_error(train_sense(epohs = 3), "unknown option epohs.*epochs")
  expect_error(train_sense(method = "magic"), "one of nt, r-at, sense, trades")
  expect_error(train_sense(norm = 3), "norm must be one of")
  expect_error(train_sense(recipe = "cake"), "recipe must be one of")
  expect_error(
    train_sense(x = array(100, c(12, 28, 28)), y = rep(0:1, 6)),
    "divide by 255"
  )
})

test_that("invalid calls are refused without Python", {
  expect_error(train_sense("mnist", x = array(0, c(8, 2, 2))), "class for each of the 8 images")
  expect_error(train_sense("mnist", data = "mnist"), "not both")
  expect_error(train_sense("mnist", "sense", "capacity-1", 0.5, 0.3, 1, 9, 10), "must be named")
  expect_error(train_sense(control = list()), "sense_control")
})

test_that("options come from a file, and arguments replace them", {
  skip_if_no_sense()
  file <- withr::local_tempfile(fileext = ".toml")
  writeLines(c(
    "model = 'capacity-1'", "method = 'nt'", "pretrain = 0", "epochs = 1", "train_size = 200",
    "monitor_size = 8", "lr = 0.02"
  ), file)
  fit <- train_sense(config = file, lr = 0.04, control = sense_control(threads = 1, quiet = TRUE))
  expect_equal(fit$config[c("model", "method", "lr")], list(model = "capacity-1", method = "nt", lr = 0.04))
  again <- train_sense(
    config = file.path(fit$folder, "config.json"), control = sense_control(threads = 1, quiet = TRUE)
  )
  expect_identical(again$weights, fit$weights)
  writeLines("epoch = 1", file)
  expect_error(train_sense(config = file), "unknown option epoch: epochs\\?")
  expect_error(train_sense(config = file, recipe = "mnist-demo"), "leave out the recipe")
})

test_that("a method of one's own is named, and named again to resume", {
  skip_if_no_sense()
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  writeLines(c(
    "import torch.nn.functional as F",
    "def natural(model, batch, config, epoch):",
    "    return F.cross_entropy(model(batch.x), batch.y)"
  ), "own_loss_of_r.py")
  quick <- function(...) {
    train_sense(
      model = "capacity-1", pretrain = 0, epochs = 1, train_size = 200, ...,
      control = sense_control(threads = 1, monitor_size = 8, quiet = TRUE)
    )
  }
  own <- quick(method = "own_loss_of_r:natural")
  expect_identical(own$weights, quick(method = "nt")$weights)
  expect_output(print(own), "own_loss_of_r:natural")
  resume <- sense_control(resume = own$folder, quiet = TRUE)
  expect_error(train_sense(control = resume), "method = \"own_loss_of_r:natural\"")
  expect_identical(train_sense(method = "own_loss_of_r:natural", control = resume)$weights, own$weights)
})

test_that("arguments that have another place are named, with that place", {
  expect_error(train_sense(out = "x"), "`out` belongs into `control`")
  expect_error(train_sense(iris[1:4], iris$Species, quiet = TRUE), "`quiet` belongs into `control`")
  expect_error(train_sense(iris[1:4], iris$Species, data = "mnist"), "Leave out `data`")
  expect_error(train_sense("mnist", dataset = "cifar10"), "Leave out `dataset`")
  skip_if_no_sense()
  # Names of internal arguments are those of unknown options.
  for (name in c("images", "command", "call", "rows")) {
    expect_error(do.call(train_sense, c(list("mnist-sample"), stats::setNames(list("a"), name))), paste("unknown option", name))
  }
})
