//! Keys that RocketMQ knows and that have no meaning here: thread pools and queues that we do not have, and
//! features that are absent. A file that names them starts without a warning each; one line lists them.

/// RocketMQ's keys without meaning here. Source: reference of RocketMQ 5.3.3 `BrokerConfig`, `MessageStoreConfig`,
/// `NettyServerConfig`, `NettyClientConfig`.
pub const INERT_KEYS: &[&str] = &[
    // what RocketMQ finds by itself, and we need not
    "rocketmqHome", "fetchNamesrvAddrByAddressServer", "fetchNameSrvAddrByDnsLookup", "updateNameServerAddrPeriod",
    "forceRegister", "compressedRegister", "enableSplitRegistration", "splitRegistrationSize", "enableSingleTopicRegister",
    "brokerHeartbeatInterval", "brokerNotActiveTimeoutMillis", "sendHeartbeatTimeoutMillis", "compatibleWithOldNameSrv",
    "realTimeNotifyConsumerChange", "enableMixedMessageType", "messageStorePlugIn", "brokerConfigPath",
    // thread pools
    "sendMessageThreadPoolNums", "putMessageFutureThreadPoolNums", "litePullMessageThreadPoolNums",
    "ackMessageThreadPoolNums", "processReplyMessageThreadPoolNums", "queryMessageThreadPoolNums",
    "adminBrokerThreadPoolNums", "clientManageThreadPoolNums", "consumerManageThreadPoolNums",
    "loadBalanceProcessorThreadPoolNums", "heartbeatThreadPoolNums", "recoverThreadPoolNums",
    "endTransactionThreadPoolNums", "sendThreadPoolQueueCapacity", "litePullThreadPoolQueueCapacity",
    "ackThreadPoolQueueCapacity", "replyThreadPoolQueueCapacity", "queryThreadPoolQueueCapacity",
    "clientManagerThreadPoolQueueCapacity", "consumerManagerThreadPoolQueueCapacity",
    "heartbeatThreadPoolQueueCapacity", "endTransactionPoolQueueCapacity", "adminBrokerThreadPoolQueueCapacity",
    "loadBalanceThreadPoolQueueCapacity", "serverWorkerThreads", "serverCallbackExecutorThreads",
    "serverSelectorThreads", "clientWorkerThreads", "clientCallbackExecutorThreads", "useEpollNativeSelector",
    "serverPooledByteBufAllocatorEnable", "clientPooledByteBufAllocatorEnable", "serverSocketSndBufSize",
    "serverSocketRcvBufSize", "clientSocketSndBufSize", "clientSocketRcvBufSize", "writeBufferHighWaterMark",
    "writeBufferLowWaterMark", "serverOnewaySemaphoreValue", "serverAsyncSemaphoreValue", "serverSocketBacklog",
    "enableShutdownGracefully", "connectTimeoutMillis", "clientChannelMaxIdleTimeSeconds",
    "clientCloseSocketIfTimeout", "clientOnewaySemaphoreValue", "clientAsyncSemaphoreValue",
    // protection: ours is bounded queues and back-pressure
    "brokerFastFailureEnable", "waitTimeMillsInSendQueue", "waitTimeMillsInPullQueue", "waitTimeMillsInLitePullQueue",
    "waitTimeMillsInHeartbeatQueue", "waitTimeMillsInTransactionQueue", "waitTimeMillsInAckQueue",
    "waitTimeMillsInAdminBrokerQueue", "asyncSendEnable", "osPageCacheBusyTimeOutMills", "maxAsyncPutMessageRequests",
    "putMessageTimeout", "useReentrantLockWhenPutMessage", "disableConsumeIfConsumerReadSlowly",
    "consumerFallbehindThreshold", "commercialEnable", "commercialTimerCount", "commercialBaseCount",
    // memory maps that we do not write through
    "warmMapedFileEnable", "transientStorePoolEnable", "transientStorePoolSize", "fastFailIfNoBufferInStorePool",
    "commitIntervalCommitLog", "commitCommitLogLeastPages", "commitCommitLogThoroughInterval",
    "flushCommitLogLeastPages", "flushCommitLogThoroughInterval", "flushCommitLogTimed",
    "flushConsumeQueueLeastPages", "flushConsumeQueueThoroughInterval", "deleteCommitLogFilesInterval",
    "deleteConsumeQueueFilesInterval", "deleteFileBatchMax", "destroyMapedFileIntervalForcibly",
    "redeleteHangedFileInterval", "transferMsgByHeap", "maxHashSlotNum", "maxIndexNum", "checkCRCOnRecover",
    "duplicationEnable", "readUnCommitted", "storeType", "enableConsumeQueueExt", "enableLmq", "enableMultiDispatch",
    "maxTopicLength", "autoMessageVersionOnTopicLen", "enabledAppendPropCRC",
    // features that are absent
    "enablePropertyFilter", "enableCalcFilterBitMap", "expectConsumerNumUseFilter", "maxErrorRateOfBloomFilter", "filterSupportRetry",
    "rejectPullConsumerEnable", "lockInStrictMode", "enableBroadcastOffsetStore", "serverLoadBalancerEnable",
    "defaultMessageRequestMode", "defaultPopShareQueueNum", "reviveQueueNum", "reviveInterval", "popPollingSize",
    "popPollingMapSize", "popCkStayBufferTime", "transactionTimeOut", "transactionCheckMax",
    "transactionCheckInterval", "transactionOpMsgMaxSize", "transactionOpBatchInterval", "storeReplyMessageEnable",
    "recallMessageEnable", "timerWheelEnable", "timerPrecisionMs", "timerMaxDelaySec", "timerRollWindowSlot",
    "timerInterceptDelayLevel", "mappedFileSizeTimerLog", "enableScheduleAsyncDeliver", "enableSlaveActingMaster",
    "enableRemoteEscape", "skipPreOnline", "enableControllerMode", "controllerAddr", "syncBrokerMetadataPeriod",
    "checkSyncStateSetPeriod", "syncControllerMetadataPeriod", "controllerHeartBeatTimeoutMills",
    "brokerElectionPriority", "metricsGrpcExporterTarget", "metricsLabel", "metricsInDelta",
    "metricsOtelCardinalityLimit", "aclEnable", "enableBatchPush", "haMasterAddress", "haSendHeartbeatInterval",
    "haHousekeepingInterval", "haTransferBatchSize", "haMaxGapNotInSync", "haSlaveFallbehindMax",
    "haMaxTimeSlaveNotCatchup", "haFlowControlEnable", "maxHaTransferByteInSecond", "slaveTimeout",
    "offsetCheckInSlave", "totalReplicas", "inSyncReplicas", "minInSyncReplicas", "allAckInSyncStateSet",
    "enableAutoInSyncReplicas", "syncFromLastFile", "asyncLearner",
];
